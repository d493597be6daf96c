"""A cache on disk for arrays that are slow to compute."""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnn3 import WeightsError, files
from cnn3.files import DamagedError
from experiments.support.finished_runs import UnfinishedError

Arrays = dict[str, np.ndarray]

DIGEST = 32  # bytes of SHA-256 at the end of a file; an archive's CRC does not cover the names and number of its arrays

log = logging.getLogger(__name__)


def cached(folder: Path, name: str, key: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `compute` returns, read from the cache if it has them under the same key.

    A damaged file is computed again.

    Args:
        folder: the folder of the cache; the file is `<name>-<digest of the key>.npz`.
        name: a name for the arrays.
        key: everything that the arrays depend on, as JSON.
        compute: computes the arrays.

    Raises:
        OutputError: the file cannot be written.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}-{digest}.npz"
    if path.exists():
        try:
            return _read(path)
        except DamagedError as damage:
            log.warning("%s is damaged (%s): computing it again", path, damage)
    arrays = compute()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    files.write(files.make_folder(folder) / path.name, content + hashlib.sha256(content).digest())
    return arrays


def _read(path: Path) -> Arrays:
    """Return the arrays in a file.

    Raises:
        DamagedError: the file was changed after it was written.
    """
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DamagedError(error.strerror) from None
    content, digest = stored[:-DIGEST], stored[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise DamagedError("its checksum is wrong")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        UnfinishedError: it is not there, as when a run was published without its weights.
        WeightsError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise UnfinishedError(
            f"the run {path.parent.name} has no {path.name}; name another --runs or --output to train it again"
        ) from None
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from None
