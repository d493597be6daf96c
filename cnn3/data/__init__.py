"""Data sets as arrays: `load(name)` gives training, validation and test images as uint8, and their labels."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

CIFAR10_CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # report, eval.py
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {"cifar10": CIFAR10_CLASSES, "digits": tuple(map(str, range(10)))}
DATASETS = tuple(CLASS_NAMES)
VALIDATION = 0.1  # part of the training images that is held out (report, section 1)
DIGITS_TEST = 360  # a fifth of the 1,797 digits, always the same: scikit-learn has no test set of its own


class DataError(Exception):
    """Data that cannot be had; the message names the file or option and the remedy."""


class Split(NamedTuple):
    """Images and the indices of their classes."""

    images: UInt8[np.ndarray, "n 32 32 3"]
    labels: Int32[np.ndarray, " n"]


class Source(NamedTuple):
    """A data set as it comes: training images before validation is split off, test images, and a digest of them all."""

    train: Split
    test: Split
    digest: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory; a label is an index into `classes`.

    `identity` tells its images and their split from any others; None has `digest` computed from the arrays.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    identity: str | None = None

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell these images, labels and their split from any others."""
        if self.identity is not None:
            return self.identity
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return digest_splits(parts)[:16]


def digest_splits(splits: Mapping[str, Split]) -> str:
    """Return a SHA-256 of images and labels, by the names of their splits."""
    arrays = {f"{part}.{name}": array for part, split in splits.items() for name, array in split._asdict().items()}
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load(
    name: str, data_dir: str | os.PathLike | None = None, *, seed: int = 3136, limit: int | None = None
) -> Dataset:
    """Return a data set whose training images are split into train and validation as the report's program does it.

    Args:
        name: "cifar10", read (and at first prepared) through TFDS, or "digits", which comes with scikit-learn.
        data_dir: TFDS's folder; None is TFDS's own rule: TFDS_DATA_DIR, else ~/tensorflow_datasets. Digits need none.
        seed: draws the validation images; the test set does not depend on it.
        limit: keep only the first so many training images.

    Raises:
        DataError: an unknown name, a seed or limit out of range, or data that cannot be had.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}: choose one of {', '.join(DATASETS)}")
    if not 0 <= seed < 2**32:
        raise DataError(f"seed {seed} cannot draw the validation images: choose one from 0 to {2**32 - 1}")
    if name == "cifar10":
        from cnn3.data import cifar10

        source = cifar10.read(data_dir)
    else:
        source = _digits()
    images, test, digest = source
    train, validation = split_indices(len(images.labels), seed)
    if limit is not None and not 1 <= limit <= len(train):
        raise DataError(f"limit {limit} is out of range: {name} has {len(train)} training images")
    identity = _identify(digest, len(images.labels), seed, limit)
    return Dataset(name, CLASS_NAMES[name], _take(images, train[:limit]), _take(images, validation), test, identity)


def identify(name: str, data_dir: str | os.PathLike | None, *, seed: int, limit: int | None) -> str | None:
    """Return the `digest` of what `load` gives without reading images, or None where that cannot be known."""
    if name != "cifar10":
        return None
    from cnn3.data import cifar10

    digest = cifar10.kept_digest(data_dir)
    return digest and _identify(digest, 10 * cifar10.PER_CLASS["train"], seed, limit)


def _identify(source: str, count: int, seed: int, limit: int | None) -> str:
    train, validation = (indices.astype("<i8").tobytes() for indices in split_indices(count, seed))
    return hashlib.sha256(source.encode() + train[: None if limit is None else 8 * limit] + validation).hexdigest()[:16]


def provenance(name: str, data_dir: str | os.PathLike | None = None) -> str:
    """Return in a sentence where a data set's images come from and what has been done to them.

    Args:
        name: as for `load`, which has been called before: CIFAR-10 is prepared.
        data_dir: as for `load`.

    Raises:
        DataError: the records cannot be read.
    """
    if name == "digits":
        return "Its images are scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 32x32."
    from cnn3.data import cifar10

    return (
        f"Its images are those of TensorFlow Datasets {cifar10.VERSION}, kept without loss."
        if cifar10.encoding(data_dir) == "PNG"
        else "Its images passed through JPEG once, so accuracies may lie a little below those on the original ones."
    )


def split_indices(count: int, seed: int) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Return which of `count` images are for training and which for validation (report, train.py, lines 58-64).

    The program shuffles the indices with NumPy's legacy generator and holds out the first tenth.
    """
    order = np.random.RandomState(seed).permutation(count)
    held_out = int(VALIDATION * count)
    return order[held_out:], order[:held_out]


def _take(images: Split, indices: Int[np.ndarray, " kept"]) -> Split:
    return Split(images.images[indices], images.labels[indices])


def _digits() -> Source:
    """Return scikit-learn's 8x8 digits of 17 grey levels, enlarged to 32x32 by linear interpolation."""
    from PIL import Image
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    small = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)) for image in small])
    images = np.repeat(grey[..., None], 3, axis=-1)
    order = np.random.RandomState(0).permutation(len(labels))  # the digits come writer by writer
    digits = Split(images, labels.astype(np.int32))
    train, test = _take(digits, order[:-DIGITS_TEST]), _take(digits, order[-DIGITS_TEST:])
    return Source(train, test, digest_splits({"train": train, "test": test}))
