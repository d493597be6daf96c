"""The python version of CIFAR-10 and CIFAR-100, which torchvision downloads: pickled batches, in a folder or archive.

Its files are checked by the MD5 sums that torchvision has for them, and then read by an unpickler that makes nothing
but arrays of bytes, lists, dictionaries, bytes and numbers: other pickles can run any code.
"""

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn3.data.paths import DATA_DIR_HINT
from cnn3.data.splits import DataError


class PythonVersion(NamedTuple):
    """A data set's python version.

    Args:
        folder: the folder of its files, also in the archive.
        archive: the name of the archive.
        md5: the MD5 sums of the files: of images, and the last one of names.
        label_keys: what a file of images calls its labels, in the order of the binary version.
        name_keys: what the file of names calls them, by the file of the binary version.
    """

    folder: str
    archive: str
    md5: Mapping[str, str]
    label_keys: tuple[bytes, ...]
    name_keys: Mapping[str, bytes]

    def places(self, root: Path) -> tuple[Path, ...]:
        """Return where it is looked for under TFDS's folder."""
        return root / self.folder, root / self.archive, root / "downloads" / "manual" / self.archive


VERSIONS: Mapping[str, PythonVersion] = {
    "cifar10": PythonVersion(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        md5={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
        label_keys=(b"labels",),
        name_keys={"batches.meta.txt": b"label_names"},
    ),
    "cifar100": PythonVersion(
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        md5={
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
        label_keys=(b"coarse_labels", b"fine_labels"),
        name_keys={"coarse_label_names.txt": b"coarse_label_names", "fine_label_names.txt": b"fine_label_names"},
    ),
}


def read_as_binary(name: str, root: Path) -> dict[str, bytes] | None:
    """Return the files of a data set's binary version, made from its python version; None if that is not there.

    Args:
        name: a key of `VERSIONS`.
        root: TFDS's folder, or torchvision's.

    Raises:
        DataError: a file is missing, damaged or another one.
    """
    version = VERSIONS[name]
    place = next((path for path in version.places(root) if path.exists()), None)
    if place is None:
        return None
    content = _read_folder(version, place) if place.is_dir() else _read_archive(version, place)
    *batches, names = (_unpickle(place / file, content[file], md5) for file, md5 in version.md5.items())
    images = {f"{file}.bin": _to_rows(version, batch) for file, batch in zip(version.md5, batches, strict=False)}
    return images | {file: b"\n".join(names[key]) for file, key in version.name_keys.items()}


def _read_folder(version: PythonVersion, folder: Path) -> dict[str, bytes]:
    try:
        return {file: (folder / file).read_bytes() for file in version.md5}
    except OSError as error:
        raise _error(Path(error.filename), error.strerror or "unknown") from None


def _read_archive(version: PythonVersion, archive: Path) -> dict[str, bytes]:
    """Return the files in an archive, of which nothing is written to the disk."""
    try:
        with tarfile.open(archive) as tar:
            files = {file: tar.extractfile(f"{version.folder}/{file}") for file in version.md5}
            return {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, EOFError, KeyError, tarfile.TarError, zlib.error) as error:
        raise _error(archive, str(error)) from None


def _unpickle(path: Path, content: bytes, md5: str) -> Any:
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise _error(path, f"its MD5 is {actual}, not {md5}")
    try:
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise _error(path, str(error)) from None


def _error(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is damaged or another file ({reason}): remove it or fix that, or {DATA_DIR_HINT}")


def _to_rows(version: PythonVersion, batch: Mapping[bytes, Any]) -> bytes:
    """Return a batch as the binary version has it: a row for each image, of its labels and then its pixels."""
    labels = [np.array(batch[key], np.uint8) for key in version.label_keys]
    return np.column_stack([*labels, batch[b"data"]]).tobytes()


def _empty_array(*_: object) -> np.ndarray:
    return np.empty(0, np.uint8)


def _byte_type(code: bytes, *_: object) -> np.dtype:
    if code != b"u1":
        raise pickle.UnpicklingError(f"it holds an array of {code!r}")
    return np.dtype(np.uint8, copy=True)  # not NumPy's own, as the pickle sets its state


class _Unpickler(pickle.Unpickler):
    """An unpickler of arrays of bytes, of what they were in Python 2, and of what needs no import."""

    ALLOWED: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy", "ndarray"): None,  # which `_empty_array` does not need
        ("numpy", "dtype"): _byte_type,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not allowed")
        return self.ALLOWED[module, name]
