"""Splits of a data set: images as uint8 with their labels, how they are checked, identified and split further."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

IMAGE_SHAPE = (32, 32, 3)
MAX_CLASSES = 2**16
VALIDATION_FRACTION = 0.1  # of the training images (original study, section 1)


class DataError(Exception):
    """Data that is not available or does not fit; the message names the file, option or split and the remedy."""


class Split(NamedTuple):
    """Images and the indices of their classes."""

    images: UInt8[np.ndarray, "n 32 32 3"]
    labels: Int32[np.ndarray, " n"]


class Source(NamedTuple):
    """A data set before validation images are split off: its images, a digest of them all, and its classes."""

    train: Split
    test: Split
    digest: str
    classes: tuple[str, ...]


def make_source(
    train: tuple[object, object], test: tuple[object, object], classes: Sequence[str] | None = None
) -> Source:
    """Return the data set of these images and labels.

    Args:
        train: images, uint8 of shape (n, 32, 32, 3), and labels, integers of shape (n,).
        test: the same of the test set.
        classes: the names of the classes; a label is an index into them. None names them 0, 1, 2, ...

    Raises:
        DataError: an array has another shape or type, a split is empty, or labels do not fit the classes.
    """
    splits = {name: _to_split(name, arrays) for name, arrays in (("train", train), ("test", test))}
    names = None if classes is None else tuple(classes)
    for name, split in splits.items():
        check_split(name, split, MAX_CLASSES if names is None else len(names))
    if names is None:
        names = _number_classes(splits)
    check_classes(names)
    return Source(**splits, digest=digest_splits(splits), classes=names)


def check_split(name: str, split: object, class_count: int) -> None:
    """Make sure that a split is as `Split` says, is not empty, and has the labels of so many classes.

    Raises:
        DataError: it is not; the message names the split, and the shape and type wanted.
    """
    if not isinstance(split, Split):
        raise DataError(f"the {name} split must be a cnn3.Split of images and labels, not a {type(split).__name__}")
    images, labels = split
    if not _is_array(images, np.uint8) or images.shape[1:] != IMAGE_SHAPE:
        raise DataError(f"the {name} images must be a uint8 array of shape (n, 32, 32, 3), not {_describe(images)}")
    if not _is_array(labels, np.int32) or labels.ndim != 1:
        raise DataError(f"the {name} labels must be an int32 array of shape (n,), not {_describe(labels)}")
    if len(images) != len(labels):
        raise DataError(f"the {name} split has {len(images)} images, but {len(labels)} labels")
    if not len(labels):
        raise DataError(f"the {name} split is empty; it must have images")
    for label in (labels.min(), labels.max()):
        if not 0 <= label < class_count:
            raise DataError(f"the {name} labels must be from 0 to {class_count - 1}, the last class, not {label}")


def check_classes(classes: object) -> None:
    """Make sure that classes have names.

    Raises:
        DataError: they have not, or have the same name, or are too few or too many.
    """
    if not (isinstance(classes, tuple) and all(isinstance(name, str) and name for name in classes)):
        raise DataError(f"classes must be a tuple of names, not {classes!r}")
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DataError(f"there must be from 2 to {MAX_CLASSES} classes, not {len(classes)}")
    if len(set(classes)) != len(classes):
        raise DataError(f"two classes are named {max(classes, key=classes.count)!r}; give each a name of its own")


def digest_splits(splits: Mapping[str, Split]) -> str:
    """Return the SHA-256 of images and labels, by the names of their splits."""
    return digest_arrays(
        {f"{part}.{name}": array for part, split in splits.items() for name, array in split._asdict().items()}
    )


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays, by their names."""
    sha256 = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()


def subset(split: Split, indices: Int[np.ndarray, " subset"]) -> Split:
    """Return the images and labels at these indices."""
    return Split(split.images[indices], split.labels[indices])


def join(first: Split, second: Split) -> Split:
    """Return the images and labels of two splits, one after the other."""
    return Split(np.concatenate([first.images, second.images]), np.concatenate([first.labels, second.labels]))


def split_indices(count: int, seed: int) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Return the indices of training and of validation images (original study, train.py, lines 58-64).

    They are shuffled with NumPy's legacy generator, and the first tenth is held out.
    """
    order = np.random.RandomState(seed).permutation(count)
    held_out = int(VALIDATION_FRACTION * count)
    return order[held_out:], order[:held_out]


def _to_split(name: str, arrays: tuple[object, object]) -> Split:
    """Return a pair of arrays as a split; integer labels become int32 where they can.

    Raises:
        DataError: it is not a pair of arrays.
    """
    try:
        images, labels = map(np.asarray, arrays)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be a pair of arrays, images and labels") from None
    int32 = np.iinfo(np.int32)
    if labels.dtype.kind in "iu" and (labels.size == 0 or int32.min <= labels.min() <= labels.max() <= int32.max):
        labels = labels.astype(np.int32)
    return Split(images, labels)


def _number_classes(splits: Mapping[str, Split]) -> tuple[str, ...]:
    """Return names for classes that have none, by their labels, which must leave no number out."""
    count = 1 + max(int(split.labels.max()) for split in splits.values())
    missing = np.setdiff1d(np.arange(count), splits["train"].labels)
    if missing.size:
        raise DataError(f"no training image has the label {missing[0]}; number the classes from 0, or name them all")
    return tuple(map(str, range(count)))


def _is_array(value: object, dtype: type[np.generic]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == dtype


def _describe(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}"
    return f"{value.dtype} of shape {value.shape}"
