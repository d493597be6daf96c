"""A data set in memory: images as uint8, and their labels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

CIFAR10_CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # report, eval.py
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {"cifar10": CIFAR10_CLASSES, "digits": tuple(map(str, range(10)))}
DATASETS = tuple(CLASS_NAMES)


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


def subset(images: Split, indices: Int[np.ndarray, " kept"]) -> Split:
    """Return the images at these positions."""
    return Split(images.images[indices], images.labels[indices])
