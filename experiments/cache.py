"""What takes long to compute, kept on disk."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnn3 import WeightsError, files
from cnn3.files import OutputError

Arrays = dict[str, np.ndarray]


def cached(folder: Path, name: str, key: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `compute` returns, read from the folder if they have been computed from the same key.

    Args:
        folder: where they are kept, as `<name>-<digest of the key>.npz`.
        name: what they are.
        key: all that they depend on, as JSON has it.
        compute: how to get them.

    Raises:
        OutputError: the file is damaged or cannot be written.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}-{digest}.npz"
    if path.exists():
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise OutputError(f"{path} is damaged ({error}); delete it to compute it anew") from None
    arrays = compute()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    files.write(files.make_folder(folder) / path.name, buffer.getvalue())
    return arrays


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror}; delete the folder {path.parent} to train the run anew"
        ) from None
