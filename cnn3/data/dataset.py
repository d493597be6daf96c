"""A data set in memory: images as uint8, and their labels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

CIFAR10_CLASSES = (
    "plane",
    "car",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)  # original study, eval.py
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {"cifar10": CIFAR10_CLASSES, "digits": tuple(map(str, range(10)))}
DATASETS = tuple(CLASS_NAMES)


class DataError(Exception):
    """Data that is not available; the message names the file or option and the remedy."""


class Split(NamedTuple):
    """Images and the indices of their classes."""

    images: UInt8[np.ndarray, "n 32 32 3"]
    labels: Int32[np.ndarray, " n"]


class Source(NamedTuple):
    """A data set before validation images are split off, and a digest of all its images and labels."""

    train: Split
    test: Split
    digest: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory; a label is an index into `classes`.

    `identity` is its `digest` if that is known without the arrays; None has it computed from them.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    identity: str | None = None

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that identify these images, labels and their split."""
        if self.identity is not None:
            return self.identity
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return digest_splits(parts)[:16]


def digest_splits(splits: Mapping[str, Split]) -> str:
    """Return the SHA-256 of images and labels, by the names of their splits."""
    arrays = {f"{part}.{name}": array for part, split in splits.items() for name, array in split._asdict().items()}
    sha256 = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha256.update(f"{name} {array.dtype} {array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()


def subset(split: Split, indices: Int[np.ndarray, " subset"]) -> Split:
    """Return the images and labels at these indices."""
    return Split(split.images[indices], split.labels[indices])
