"""CIFAR-10's prepared records, and the decoded arrays that are kept beside them."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn3.data import array_cache, cifar
from cnn3.data.dataset import CIFAR10_CLASSES, DataError, Split
from cnn3.data.loading import load
from tests.data.cifar10.archive import TOTAL, file_size_limit, files_in, folder_in, one_line, same, warnings_in
from tests.helpers.processes import ROOT

# --- records


def test_folder_without_records(root: Path) -> None:
    for path in folder_in(root).glob("*array_record*"):
        path.unlink()
    with pytest.raises(DataError, match=f"{folder_in(root)} lacks array_record files: remove it"):
        load("cifar10", root)


def test_folder_that_is_not_finished(root: Path) -> None:
    (folder_in(root) / "dataset_info.json").unlink()
    with pytest.raises(DataError, match=f"{folder_in(root)} lacks dataset_info.json: remove it"):
        load("cifar10", root)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "noise"])
def test_damaged_records(damage: str, root: Path) -> None:
    path = folder_in(root) / "cifar10-test.array_record-00000-of-00001"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[10_000] ^= 1
    noise = np.random.default_rng(0).bytes(len(content))
    path.write_bytes({"flipped": bytes(flipped), "truncated": content[:10_000], "empty": b"", "noise": noise}[damage])
    with pytest.raises(DataError) as caught:
        load("cifar10", root)
    assert one_line(caught).startswith(f"cannot read {path} (")
    assert f"remove {folder_in(root)} to have it prepared again" in str(caught.value)
    assert "cnn3-arrays.safetensors" not in files_in(folder_in(root))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00"])
def test_damaged_dataset_info(content: bytes, root: Path) -> None:
    (folder_in(root) / "dataset_info.json").write_bytes(content)
    with pytest.raises(DataError, match=f"remove {folder_in(root)} to have it prepared again"):
        load("cifar10", root)


def test_records_that_are_not_all_of_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "IMAGES", {"train": 200, "test": 10_000})
    with pytest.raises(DataError, match=r"the test set should have 1000 images of each class, but has \{0: 10, 1: 10"):
        load("cifar10", root)


# --- the decoded arrays that are kept


def test_second_start_reads_arrays_alone(root: Path, images: dict[str, Split]) -> None:
    """In a new process, which imports neither TFDS nor TensorFlow."""
    first = load("cifar10", root)
    program = f"""
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
from cnn3.data import cifar, loading
cifar.IMAGES = {TOTAL}
sys.stdout.buffer.write(loading.load("cifar10", {str(root)!r}).train.images.tobytes())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout == first.train.images.tobytes()
    assert same(first, images)


def damaged(content: bytes, damage: str) -> bytes:
    changed = bytearray(content)
    position = {"image": len(content) // 2, "last label": len(content) - 4, "header": 20, "length": 2}.get(damage, 0)
    changed[position] ^= 1
    return {"truncated": content[:-1], "half": content[: len(content) // 2], "empty": b""}.get(damage, bytes(changed))


@pytest.mark.parametrize("damage", ["image", "last label", "header", "length", "truncated", "half", "empty"])
def test_damaged_arrays_are_written_again(
    damage: str, root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    path = folder_in(root) / "cnn3-arrays.safetensors"
    load("cifar10", root)
    path.write_bytes(damaged(path.read_bytes(), damage))
    assert same(load("cifar10", root), images)
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"{path} cannot be used (")
    assert "\n" not in warning
    caplog.clear()
    assert same(load("cifar10", root), images)
    assert warnings_in(caplog) == []


@pytest.fixture(scope="session")
def cached_arrays(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """The arrays of `prepared` as they are kept, and the state of its records."""
    root = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("kept") / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar, "IMAGES", TOTAL)
        load("cifar10", root)
        path = folder_in(root) / "cnn3-arrays.safetensors"
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        state = header["__metadata__"]["records"]
        assert array_cache.read_cache(path, state, CIFAR10_CLASSES) is not None
    return content, state


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_flipped_bit_is_detected(cached_arrays: tuple[bytes, str], data: st.DataObject) -> None:
    content, state = cached_arrays
    header = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.one_of(st.integers(0, header - 1), st.integers(header, len(content) - 1)))
    changed = bytearray(content)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    path = Path(os.environ["XDG_CACHE_HOME"]).with_name("flipped")
    path.write_bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar, "IMAGES", TOTAL)
        assert array_cache.read_cache(path, state, CIFAR10_CLASSES) is None


def test_arrays_of_other_records_are_written_again(
    root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_in(root)
    first = load("cifar10", root)
    records = folder / "cifar10-train.array_record-00000-of-00001"
    changed = (folder / "cnn3-arrays.safetensors").read_bytes()
    os.utime(records, ns=(0, records.stat().st_mtime_ns + 1))
    caplog.set_level(logging.INFO, "cnn3")
    again = load("cifar10", root)
    assert "was made from other files" in caplog.text
    assert (folder / "cnn3-arrays.safetensors").read_bytes() != changed
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert same(again, images)


def test_read_only_folder(
    root: Path, images: dict[str, Split], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_in(root).chmod(0o555)
    before = files_in(root)
    caplog.set_level(logging.INFO, "cnn3")
    load("cifar10", root)
    assert files_in(root) == before
    (path,) = (tmp_path / "user-cache" / "cnn3").glob("*/cnn3-arrays.safetensors")
    assert f"caching the decoded images in {path}" in caplog.text
    (folder_in(root) / "cifar10-test.array_record-00000-of-00001").read_bytes()
    caplog.clear()
    assert same(load("cifar10", root), images)
    assert caplog.text == ""  # nothing was decoded


def test_no_place_for_the_arrays(
    root: Path, images: dict[str, Split], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_in(root).chmod(0o555)
    (tmp_path / "user-cache").touch()
    assert same(load("cifar10", root), images)
    (warning,) = [line for line in warnings_in(caplog) if "not cached" in line]
    assert warning.startswith("the decoded images are not cached, so they will be decoded again next time: ")
    assert f"{tmp_path}/user-cache" in warning


def test_disk_full_while_keeping_the_arrays(
    root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    before = files_in(root)
    with file_size_limit(400_000):
        assert same(load("cifar10", root), images)
    (warning,) = warnings_in(caplog)
    assert warning.startswith("the decoded images are not cached")
    assert "File too large" in warning
    assert files_in(root) == before
