"""What is kept on disk of what takes long to compute."""

import hashlib
import io

import numpy as np
import pytest

from cnn3 import WeightsError
from cnn3.files import DamagedError
from experiments.support.cache import _read, cached, file_digest


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


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "sealed by nobody"])
def test_a_damaged_file_is_named_and_computed_anew(damage, tmp_path, caplog):
    arrays = {"a": np.arange(1000)}
    cached(tmp_path, "thing", {}, lambda: arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-40], "sealed by nobody": whole[:-32]}.get(damage, damage))
    found = cached(tmp_path, "thing", {}, lambda: arrays)
    assert np.array_equal(found["a"], arrays["a"])
    assert path.read_bytes() == whole
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is damaged (its checksum is wrong): computing it again"
    ]


def test_any_flipped_bit_is_noticed(tmp_path):
    # of the 6,072 bits of an archive alone, of three arrays, 19 could be flipped so that it was read with fewer
    arrays = {"map": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32), "value": np.array(0.5)}
    cached(tmp_path, "thing", {}, lambda: arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DamagedError):
            _read(path)


def test_nothing_is_unpickled(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([{}], dtype=object))
    (tmp_path / "thing.npz").write_bytes(buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        _read(tmp_path / "thing.npz")


def test_weights_are_told_apart_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")
    with pytest.raises(WeightsError, match="delete the folder"):
        file_digest(tmp_path / "missing")
