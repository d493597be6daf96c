"""`load(name)` gives a data set, split into training and validation images as the original program does it."""

import hashlib
import os

import numpy as np
from jaxtyping import Int

from cnn3.data import digits, paths
from cnn3.data.dataset import CLASS_NAMES, DATASETS, DataError, Dataset, subset

VALIDATION = 0.1  # part of the training images that is held out (report, section 1)


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
        source = digits.read()
    images, test, digest = source
    train, validation = split_indices(len(images.labels), seed)
    if limit is not None and not 1 <= limit <= len(train):
        raise DataError(f"limit {limit} is out of range: {name} has {len(train)} training images")
    identity = _identify(digest, len(images.labels), seed, limit)
    return Dataset(name, CLASS_NAMES[name], subset(images, train[:limit]), subset(images, validation), test, identity)


def dataset_digest(name: str, data_dir: str | os.PathLike | None, *, seed: int, limit: int | None) -> str | None:
    """Return the `digest` of what `load` gives without reading images, or None where that cannot be known."""
    if name != "cifar10":
        return None
    from cnn3.data import cifar10

    digest = cifar10.cached_digest(data_dir)
    return digest and _identify(digest, 10 * cifar10.PER_CLASS["train"], seed, limit)


def _identify(source: str, count: int, seed: int, limit: int | None) -> str:
    train, validation = (indices.astype("<i8").tobytes() for indices in split_indices(count, seed))
    return hashlib.sha256(source.encode() + train[: None if limit is None else 8 * limit] + validation).hexdigest()[:16]


def describe_source(name: str, data_dir: str | os.PathLike | None = None) -> str:
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
        f"Its images are those of TensorFlow Datasets {paths.VERSION}, kept without loss."
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
