"""Decoded images, cached in a safetensors file that says which files they were decoded from."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.numpy import save

from cnn3 import files, safetensors_file
from cnn3.data.splits import Source, Split, digest_splits

CACHE_NAME = "cnn3-arrays.safetensors"

log = logging.getLogger(__name__)


def files_state(paths: Mapping[str, Path]) -> str:
    """Return what identifies files: their names, which are the keys, their sizes and times of modification.

    Raises:
        OSError: one of them is missing.
    """
    stats = {name: path.stat() for name, path in paths.items()}
    return json.dumps({name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()})


def user_cache(folder: Path) -> Path:
    """Return the cache for a folder of data that is not to be written."""
    return user_cache_path("cnn3") / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16] / CACHE_NAME


def read_cache(path: Path, state: str, classes: tuple[str, ...]) -> Source | None:
    """Return the images cached in a file, or None if it is missing, damaged or from other files."""
    try:
        tensors, metadata = safetensors_file.read(path)
        if metadata.get("records") != state:
            log.info("%s was made from other files: making it again", path)
            return None
        splits = {part: Split(*(tensors[f"{part}.{name}"] for name in Split._fields)) for part in ("train", "test")}
        digest = digest_splits(splits)
        if digest != metadata.get("sha256"):
            raise ValueError("its checksum is wrong")
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        log.warning("%s cannot be used (%s): making it again", path, error)
        return None
    return Source(**splits, digest=digest, classes=classes)


def read_cached_digest(path: Path, state: str) -> str | None:
    """Return the digest of the images cached in a file, or None if it is missing or from other files.

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    if not path.exists():
        return None
    metadata = safetensors_file.read_metadata(path)
    return metadata.get("sha256") if metadata.get("records") == state else None


def write_cache(path: Path, source: Source, state: str) -> None:
    """Cache images in a file; if it cannot be written, log a warning."""
    parts = {"train": source.train, "test": source.test}
    arrays = {f"{part}.{name}": array for part, split in parts.items() for name, array in split._asdict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, save(arrays, metadata={"records": state, "sha256": source.digest}))
    except (OSError, files.OutputError) as error:
        log.warning("the decoded images are not cached, so they will be decoded again next time: %s", error)
    else:
        log.info("caching the decoded images in %s", path)
