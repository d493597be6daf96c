"""CIFAR-10 and CIFAR-100 as arrays, from TFDS's prepared records.

TFDS stores compressed images. Decoded, they are cached in one safetensors file in the same folder, or in the user's
cache folder if that cannot be written; reading the cache does not need TFDS, which is slow to import.
"""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from cnn3 import files
from cnn3.data.array_cache import CACHE_NAME, files_state, read_cache, read_cached_digest, user_cache, write_cache
from cnn3.data.dataset import CLASS_NAMES
from cnn3.data.paths import DATA_DIR_HINT, is_prepared, is_writable, records_folder, tfds_folder
from cnn3.data.splits import DataError, Source, Split, digest_splits

CIFAR = ("cifar10", "cifar100")
IMAGES = {"train": 50_000, "test": 10_000}  # in either of them, equally many of each class
READERS = ("array_record", "tensorflow_datasets")  # not installed on Windows, for which array_record has no wheels
MAGIC: Mapping[Literal["PNG", "JPEG"], bytes] = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}

log = logging.getLogger(__name__)


def read(name: str, data_dir: str | os.PathLike | None) -> Source:
    """Return the 50,000 training and the 10,000 test images, in the order of TFDS's records.

    Args:
        name: one of `CIFAR`; the labels of cifar100 are its fine ones.
        data_dir: TFDS's folder; None means TFDS's default: TFDS_DATA_DIR, else ~/tensorflow_datasets. If the data set
            has not been prepared in it, this is done first, from the archive in TFDS's manual folder or by download.

    Raises:
        DataError: the data cannot be prepared or read here, or it is damaged.
    """
    root = tfds_folder(data_dir)
    _check_readable(root)
    folder = records_folder(root, name)
    if not is_prepared(folder):
        _check_readers()
        from cnn3.data.cifar_tfds import prepare

        prepare(name, root, folder)
    records = _list_records(name, folder)
    if not all(records.values()):
        raise DataError(f"{folder} lacks array_record files: remove it to have it prepared again, or {DATA_DIR_HINT}")
    state, classes = _records_state(records), CLASS_NAMES[name]
    local_cache, other_cache = folder / CACHE_NAME, user_cache(folder)
    for path in (local_cache, other_cache):
        if (cached := read_cache(path, state, classes)) is not None:
            return cached
    splits = {part: _decode(name, root, part, paths) for part, paths in records.items()}
    source = Source(**splits, digest=digest_splits(splits), classes=classes)
    write_cache(local_cache if is_writable(folder) else other_cache, source, state)
    return source


def cached_digest(name: str, data_dir: str | os.PathLike | None) -> str | None:
    """Return the digest of the images that `read` returns, or None if they have not been decoded yet."""
    folder = records_folder(tfds_folder(data_dir), name)
    try:
        state = _records_state(_list_records(name, folder))
        local_digest = read_cached_digest(folder / CACHE_NAME, state)
        return local_digest or read_cached_digest(user_cache(folder), state)
    except (OSError, ValueError):
        return None  # `read` reports what is wrong


def image_encoding(name: str, data_dir: str | os.PathLike | None) -> Literal["PNG", "JPEG"]:
    """Return how the images of prepared records are encoded: as PNG, which is TFDS's default, or as JPEG, with loss.

    Raises:
        DataError: there are no records, they cannot be read here, or their images are encoded in another way.
    """
    _check_readers()
    from array_record.python.array_record_module import ArrayRecordReader

    folder = records_folder(tfds_folder(data_dir), name)
    records = _list_records(name, folder)["test"]
    if not records:
        raise DataError(f"there are no test records in {folder}: {DATA_DIR_HINT}")
    try:
        reader = ArrayRecordReader(str(records[0]))
        record = reader.read()
        reader.close()
    except (ValueError, RuntimeError, IndexError) as error:  # a damaged file; no such record
        raise DataError(f"cannot read the test records in {folder} ({error}): {DATA_DIR_HINT}") from None
    matches: list[Literal["PNG", "JPEG"]] = [kind for kind, magic in MAGIC.items() if magic in record]
    if len(matches) != 1:
        raise DataError(f"the images in {folder} are neither PNG nor JPEG: remove it to have it prepared again")
    return matches[0]


def _check_readable(root: Path) -> None:
    if files.is_address(root):
        raise DataError(f"the data folder {root} is an address, not a folder of this machine: {DATA_DIR_HINT}")
    try:
        with os.scandir(root):
            pass
    except FileNotFoundError:
        pass  # it can be created
    except OSError as error:
        raise DataError(f"cannot read the data folder {root} ({error.strerror}): {DATA_DIR_HINT}") from None


def _check_readers() -> None:
    missing = [name for name in READERS if find_spec(name) is None]
    if missing:
        raise DataError(
            f"CIFAR cannot be read without {' and '.join(missing)}, which come with cnn3 on Linux and on Macs with "
            "Apple silicon; on Windows, install cnn3 in WSL, or use --dataset digits, which needs neither"
        )


def _list_records(name: str, folder: Path) -> dict[str, list[Path]]:
    return {part: sorted(folder.glob(f"{name}-{part}.array_record-*")) for part in IMAGES}


def _records_state(records: Mapping[str, list[Path]]) -> str:
    return files_state({path.name: path for paths in records.values() for path in paths})


def _decode(name: str, root: Path, part: str, records: list[Path]) -> Split:
    _check_readers()
    from cnn3.data.cifar_tfds import decode

    log.info("decoding %s", records[0])
    try:
        images = decode(name, root, part)
        _check_counts(part, images, len(CLASS_NAMES[name]))
    except Exception as error:  # array_record, TFDS and Pillow do not document what they raise for damaged bytes
        names, reason = ", ".join(map(str, records)), str(error).split("\n")[0]
        remedy = f"remove {records[0].parent} to have it prepared again"
        raise DataError(f"cannot read {names} ({reason}): {remedy}, or {DATA_DIR_HINT}") from error
    return images


def _check_counts(part: str, images: Split, class_count: int) -> None:
    """Check that no image is missing, and that all classes have the same number of images.

    Raises:
        ValueError: this is not so.
    """
    labels, counts = np.unique(images.labels, return_counts=True)
    each = IMAGES[part] // class_count
    if not (np.array_equal(labels, np.arange(class_count)) and np.all(counts == each)):
        actual = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        raise ValueError(f"the {part} set should have {each} images of each class, but has {actual}")
    if images.images.shape != (IMAGES[part], 32, 32, 3):
        raise ValueError(f"the {part} images have shape {images.images.shape}")
