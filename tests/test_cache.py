"""What is kept on disk of what takes long to compute."""

import numpy as np
import pytest

from cnn3 import OutputError, WeightsError
from experiments.cache import cached, file_digest


def test_what_is_computed_once_is_read_from_then_on(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.float64(0.5)}
    calls = []

    def compute() -> dict:
        calls.append(1)
        return arrays

    for _ in range(2):
        found = cached(tmp_path / "cache", "thing", {"of": 1}, compute)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    assert len(calls) == 1
    cached(tmp_path / "cache", "thing", {"of": 2}, compute)
    cached(tmp_path / "cache", "other", {"of": 1}, compute)
    assert len(calls) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut"])
def test_a_damaged_file_is_named_and_left(damage, tmp_path):
    cached(tmp_path, "thing", {}, lambda: {"a": np.arange(1000)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-30] if damage == "cut" else damage)
    with pytest.raises(OutputError, match=rf"{path.name} is damaged .*; delete it"):
        cached(tmp_path, "thing", {}, lambda: {})


def test_nothing_is_unpickled(tmp_path):
    cached(tmp_path, "thing", {}, lambda: {"a": np.zeros(1)})
    (path,) = tmp_path.iterdir()
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(OutputError, match="damaged"):
        cached(tmp_path, "thing", {}, lambda: {})


def test_weights_are_told_apart_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")
    with pytest.raises(WeightsError, match="delete the folder"):
        file_digest(tmp_path / "missing")
