"""The cache on disk: results are computed once, damage is noticed."""

import hashlib
import io

import numpy as np
import pytest

from cnn3.files import DamagedError
from experiments.support.cache import _read, cached, file_digest
from experiments.support.finished_runs import UnfinishedError


def test_results_are_computed_once_and_then_read(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.float64(0.5)}
    calls = []

    def compute() -> dict:
        calls.append(1)
        return arrays

    for _ in range(2):
        result = cached(tmp_path / "cache", "thing", {"version": 1}, compute)
        assert result.keys() == arrays.keys()
        assert all(np.array_equal(result[name], value) for name, value in arrays.items())
    assert len(calls) == 1
    cached(tmp_path / "cache", "thing", {"version": 2}, compute)
    cached(tmp_path / "cache", "other", {"version": 1}, compute)
    assert len(calls) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "no checksum"])
def test_a_damaged_file_is_named_and_computed_again(damage, tmp_path, caplog):
    arrays = {"a": np.arange(1000)}
    cached(tmp_path, "thing", {}, lambda: arrays)
    (path,) = tmp_path.iterdir()
    intact = path.read_bytes()
    path.write_bytes({"cut": intact[:-40], "no checksum": intact[:-32]}.get(damage, damage))
    result = cached(tmp_path, "thing", {}, lambda: arrays)
    assert np.array_equal(result["a"], arrays["a"])
    assert path.read_bytes() == intact
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is damaged (its checksum is wrong): computing it again"
    ]


def test_any_flipped_bit_is_noticed(tmp_path):
    # Without the checksum, an archive of three arrays could be read with fewer after flipping any of 19 of 6,072 bits.
    arrays = {"map": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32), "value": np.array(0.5)}
    cached(tmp_path, "thing", {}, lambda: arrays)
    (path,) = tmp_path.iterdir()
    intact = path.read_bytes()
    for bit in range(8 * len(intact)):
        damaged = bytearray(intact)
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


def test_weights_are_identified_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")
    with pytest.raises(UnfinishedError, match=f"the run {tmp_path.name} has no missing; name another --runs"):
        file_digest(tmp_path / "missing")
