"""A data set of one's own in a file of numpy.savez."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cnn3.data.splits import DataError, Source, make_source

REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")
OPTIONAL = "classes"
REMEDY = f"save {', '.join(REQUIRED)} and, if you like, {OPTIONAL} with numpy.savez_compressed"


def read(path: Path) -> Source:
    """Return the images in a .npz file.

    It has the arrays `train_images` and `test_images`, uint8 of shape (n, 32, 32, 3), `train_labels` and
    `test_labels`, integers of shape (n,), and may have the names of the `classes`, which labels are indices into.

    Raises:
        DataError: the file cannot be read, or has other arrays, shapes or types. Pickled objects are not read, as they
            can run any code.
    """
    arrays = _read_arrays(path)
    missing, unknown = set(REQUIRED) - set(arrays), set(arrays) - {*REQUIRED, OPTIONAL}
    if missing or unknown:
        problem = f"lacks {', '.join(sorted(missing))}" if missing else f"has the unknown {', '.join(sorted(unknown))}"
        raise DataError(f"{path} {problem}: {REMEDY}")
    train, test = ((arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    try:
        return make_source(train, test, _to_names(arrays.get(OPTIONAL)))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:  # NumPy leaves files open that it cannot read
            opened: Any = np.load(file, allow_pickle=False)
            if isinstance(opened, np.ndarray):
                raise DataError(f"{path} holds one array, as numpy.save writes it: {REMEDY}")
            arrays = {name: opened[name] for name in opened.files}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):  # but the bytes of another file in the archive
                raise ValueError(f"{name} is no array")
        return arrays
    except DataError:
        raise
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a .npz file, or is damaged ({error}): {REMEDY}") from None
    except Exception as error:  # NumPy and zipfile do not document what they raise for damaged bytes
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0] or type(error).__name__
        if "allow_pickle" in reason:
            reason = "it holds pickled objects, which could run any code"
        raise DataError(f"cannot read {path} ({reason}): {REMEDY}") from None


def _to_names(classes: np.ndarray | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    if classes.dtype.kind != "U" or classes.ndim != 1:
        raise DataError(f"classes must be an array of strings of shape (n,), not {classes.dtype} of {classes.shape}")
    return tuple(classes.tolist())
