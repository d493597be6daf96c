"""CIFAR-10 as arrays, from TFDS's prepared records.

TFDS stores compressed images. Decoded, they are cached in one safetensors file in the same folder, or in the user's
cache folder if that cannot be written; reading the cache does not need TFDS, which is slow to import.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from cnn3 import files, safetensors_file
from cnn3.data.dataset import DataError, Source, Split, digest_splits
from cnn3.data.paths import DATA_DIR_HINT, cifar10_folder, is_prepared, is_writable, tfds_folder

PER_CLASS = {"train": 5000, "test": 1000}  # images of each of the ten classes (original study, section 1)
CACHE_NAME = "cnn3-arrays.safetensors"
READERS = ("array_record", "tensorflow_datasets")  # not installed on Windows, for which array_record has no wheels
MAGIC: Mapping[Literal["PNG", "JPEG"], bytes] = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}

log = logging.getLogger(__name__)


def read(data_dir: str | os.PathLike | None) -> Source:
    """Return the 50,000 training and the 10,000 test images, in the order of TFDS's records.

    Args:
        data_dir: TFDS's folder; None means TFDS's default: TFDS_DATA_DIR, else ~/tensorflow_datasets. If CIFAR-10 has
            not been prepared in it, this is done first, from the archive in TFDS's manual folder or by download.

    Raises:
        DataError: the data cannot be prepared or read here, or it is damaged.
    """
    root = tfds_folder(data_dir)
    _check_readable(root)
    folder = cifar10_folder(root)
    if not is_prepared(folder):
        _check_readers()
        from cnn3.data.cifar10_tfds import prepare

        prepare(root, folder)
    records = {part: sorted(folder.glob(f"cifar10-{part}.array_record-*")) for part in PER_CLASS}
    if not all(records.values()):
        raise DataError(f"{folder} lacks array_record files: remove it to have it prepared again, or {DATA_DIR_HINT}")
    state = _records_state(records)
    local_cache, user_cache = folder / CACHE_NAME, _user_cache(folder)
    for path in (local_cache, user_cache):
        if (cached := _read_cache(path, state)) is not None:
            return cached
    splits = {part: _decode(root, part, paths) for part, paths in records.items()}
    source = Source(**splits, digest=digest_splits(splits))
    _write_cache(local_cache if is_writable(folder) else user_cache, source, state)
    return source


def cached_digest(data_dir: str | os.PathLike | None) -> str | None:
    """Return the digest of the images that `read` returns, or None if they have not been decoded yet."""
    folder = cifar10_folder(tfds_folder(data_dir))
    try:
        state = _records_state({part: sorted(folder.glob(f"cifar10-{part}.array_record-*")) for part in PER_CLASS})
        for path in (folder / CACHE_NAME, _user_cache(folder)):
            if path.exists():
                metadata = safetensors_file.read_metadata(path)
                if metadata.get("records") == state:
                    return metadata.get("sha256")
    except (OSError, ValueError):
        pass  # `read` reports what is wrong
    return None


def image_encoding(data_dir: str | os.PathLike | None) -> Literal["PNG", "JPEG"]:
    """Return how the images of prepared records are encoded: as PNG, which is TFDS's default, or as JPEG, with loss.

    Raises:
        DataError: there are no records, they cannot be read here, or their images are encoded in another way.
    """
    _check_readers()
    from array_record.python.array_record_module import ArrayRecordReader

    folder = cifar10_folder(tfds_folder(data_dir))
    try:
        reader = ArrayRecordReader(str(min(folder.glob("cifar10-test.array_record-*"))))
        record = reader.read()
        reader.close()
    except (ValueError, RuntimeError, IndexError) as error:  # no file; no such record
        raise DataError(f"cannot read the test records in {folder} ({error}): {DATA_DIR_HINT}") from None
    matches: list[Literal["PNG", "JPEG"]] = [name for name, magic in MAGIC.items() if magic in record]
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
            f"CIFAR-10 cannot be read without {' and '.join(missing)}, which come with cnn3 on Linux and on Macs with "
            "Apple silicon; on Windows, install cnn3 in WSL, or use --dataset digits, which needs neither"
        )


def _decode(root: Path, part: str, records: list[Path]) -> Split:
    _check_readers()
    from cnn3.data.cifar10_tfds import decode

    log.info("decoding %s", records[0])
    try:
        images = decode(root, part)
        _check_counts(part, images)
    except Exception as error:  # array_record, TFDS and Pillow do not document what they raise for damaged bytes
        names, reason = ", ".join(map(str, records)), str(error).split("\n")[0]
        remedy = f"remove {records[0].parent} to have it prepared again"
        raise DataError(f"cannot read {names} ({reason}): {remedy}, or {DATA_DIR_HINT}") from error
    return images


def _check_counts(part: str, images: Split) -> None:
    """Check that no image is missing, and that all classes have the same number of images.

    Raises:
        ValueError: this is not so.
    """
    classes, counts = np.unique(images.labels, return_counts=True)
    each = PER_CLASS[part]
    if not (np.array_equal(classes, np.arange(10)) and np.all(counts == each)):
        actual = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        raise ValueError(f"the {part} set should have {each} images of each class, but has {actual}")
    if images.images.shape != (10 * each, 32, 32, 3):
        raise ValueError(f"the {part} images have shape {images.images.shape}")


def _records_state(records: dict[str, list[Path]]) -> str:
    """Return what identifies record files: their names, sizes and times of modification."""
    stats = {path.name: path.stat() for paths in records.values() for path in paths}
    return json.dumps({name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()})


def _user_cache(folder: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "cnn3" / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16] / CACHE_NAME


def _read_cache(path: Path, state: str) -> Source | None:
    """Return the images cached in `path`, or None if they are missing, damaged or from other records."""
    try:
        tensors, metadata = safetensors_file.read(path)
        if metadata.get("records") != state:
            log.info("%s was made from other record files: making it again", path)
            return None
        splits = {part: Split(*(tensors[f"{part}.{name}"] for name in Split._fields)) for part in PER_CLASS}
        digest = digest_splits(splits)
        if digest != metadata.get("sha256"):
            raise ValueError("its checksum is wrong")
        for part, split in splits.items():
            _check_counts(part, split)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        log.warning("%s cannot be used (%s): making it again", path, error)
        return None
    return Source(**splits, digest=digest)


def _write_cache(path: Path, source: Source, state: str) -> None:
    parts = {"train": source.train, "test": source.test}
    arrays = {f"{part}.{name}": array for part, split in parts.items() for name, array in split._asdict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, save(arrays, metadata={"records": state, "sha256": source.digest}))
    except (OSError, files.OutputError) as error:
        log.warning("the decoded images are not cached, so they will be decoded again next time: %s", error)
    else:
        log.info("caching the decoded images in %s", path)
