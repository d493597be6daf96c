"""A data set in memory, split into training, validation and test images, and the classes of those that cnn3 knows."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cnn3.config import SEED
from cnn3.data.cifar100_classes import CIFAR100_CLASSES
from cnn3.data.splits import (
    DataError,
    Source,
    Split,
    check_classes,
    check_split,
    digest_splits,
    join,
    make_source,
    split_indices,
    subset,
)

__all__ = [
    "CIFAR10_CLASSES",
    "CLASS_NAMES",
    "DataError",
    "Dataset",
    "Source",
    "Split",
    "identify",
]

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
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    "cifar10": CIFAR10_CLASSES,
    "cifar100": CIFAR100_CLASSES,
    "digits": tuple(map(str, range(10))),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory; a label is an index into `classes`.

    `identity` is its `digest` if that is known without the arrays; None has it computed from them.

    Raises:
        DataError: a split is empty or has another shape or type than `Split`, labels lie outside the classes, or a
            name is impossible.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    identity: str | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if not (isinstance(self.name, str) and re.fullmatch(r"[a-z0-9_]{1,40}", self.name)):
            raise DataError(f"name must be 1 to 40 of the characters a-z, 0-9 and _, not {self.name!r}")
        check_classes(self.classes)
        for name in ("train", "validation", "test"):
            check_split(name, getattr(self, name), len(self.classes))

    @classmethod
    def from_arrays(
        cls,
        name: str,
        train: tuple[object, object],
        test: tuple[object, object],
        classes: Sequence[str] | None = None,
        *,
        seed: int = SEED,
        limit: int | None = None,
    ) -> "Dataset":
        """Return a data set made of arrays; a tenth of the training images becomes the validation split.

        Args:
            name: of the data set, as in `RunConfig.dataset`: a-z, 0-9 and _.
            train: the training images, uint8 of shape (n, 32, 32, 3), and their labels, integers of shape (n,).
            test: the same of the test set.
            classes: the names of the classes; a label is an index into them. None names them 0, 1, 2, ...
            seed: the seed of the validation split; the test set does not depend on it.
            limit: keep only the first `limit` training images.

        Raises:
            DataError: an array has another shape or type, a split is empty, labels do not fit the classes, the name is
                impossible, or the seed or limit is out of range.
        """
        return cls.from_source(name, make_source(train, test, classes), seed=seed, limit=limit)

    @classmethod
    def from_source(cls, name: str, source: Source, *, seed: int, limit: int | None) -> "Dataset":
        """Return a data set after splitting its training images as in the original program.

        Raises:
            DataError: the seed or limit is out of range, or there are too few images to split.
        """
        images = source.train
        if not 0 <= seed < 2**32:
            raise DataError(f"seed {seed} cannot draw the validation images: choose one from 0 to {2**32 - 1}")
        train, validation = split_indices(len(images.labels), seed)
        if not len(validation):
            raise DataError(f"{name} has {len(train)} training images: at least 10 are needed to hold a tenth out")
        if limit is not None and not 1 <= limit <= len(train):
            raise DataError(f"limit {limit} is out of range: {name} has {len(train)} training images")
        identity = identify(source.digest, len(images.labels), seed, limit)
        return cls(
            name, source.classes, subset(images, train[:limit]), subset(images, validation), source.test, identity
        )

    def without_hold_out(self) -> "Dataset":
        """Return the data set whose training images include those of validation."""
        return replace(self, train=join(self.train, self.validation), identity=None)

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that identify these images, labels and their split."""
        if self.identity is not None:
            return self.identity
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return digest_splits(parts)[:16]


def identify(source_digest: str, count: int, seed: int, limit: int | None) -> str:
    """Return the `digest` of a data set, from that of its source and its number of training images before the split."""
    train, validation = (indices.astype("<i8").tobytes() for indices in split_indices(count, seed))
    return hashlib.sha256(
        source_digest.encode() + train[: None if limit is None else 8 * limit] + validation
    ).hexdigest()[:16]
