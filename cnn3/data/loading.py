"""`load(name)`: a data set whose training and validation images are split as in the original program."""

import hashlib
import os

import numpy as np
from jaxtyping import Int

from cnn3.data import digits, paths
from cnn3.data.dataset import CLASS_NAMES, DATASETS, DataError, Dataset, subset

VALIDATION_FRACTION = 0.1  # of the training images (original study, section 1)


def load(
    name: str, data_dir: str | os.PathLike | None = None, *, seed: int = 3136, limit: int | None = None
) -> Dataset:
    """Return a data set whose training images are split into train and validation as in the original program.

    Args:
        name: "cifar10", which TFDS reads (after preparing it once), or "digits", which comes with scikit-learn.
        data_dir: TFDS's folder; None means TFDS's default: TFDS_DATA_DIR, else ~/tensorflow_datasets. Not used for
            digits.
        seed: the seed of the validation split; the test set does not depend on it.
        limit: keep only the first `limit` training images.

    Raises:
        DataError: the name is unknown, the seed or limit is out of range, or the data is not available.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}: choose one of {', '.join(DATASETS)}")
    if not 0 <= seed < 2**32:
        raise DataError(f"seed {seed} cannot draw the validation images: choose one from 0 to {2**32 - 1}")
    if name == "cifar10":
        from cnn3.data import cifar10

        images, test, digest = cifar10.read(data_dir)
    else:
        images, test, digest = digits.read()
    train, validation = split_indices(len(images.labels), seed)
    if limit is not None and not 1 <= limit <= len(train):
        raise DataError(f"limit {limit} is out of range: {name} has {len(train)} training images")
    identity = _identify(digest, len(images.labels), seed, limit)
    return Dataset(name, CLASS_NAMES[name], subset(images, train[:limit]), subset(images, validation), test, identity)


def dataset_digest(name: str, data_dir: str | os.PathLike | None, *, seed: int, limit: int | None) -> str | None:
    """Return the `digest` of what `load` returns, or None if it is not known without reading the images."""
    if name != "cifar10":
        return None
    from cnn3.data import cifar10

    digest = cifar10.cached_digest(data_dir)
    return digest and _identify(digest, 10 * cifar10.PER_CLASS["train"], seed, limit)


def _identify(source_digest: str, count: int, seed: int, limit: int | None) -> str:
    train, validation = (indices.astype("<i8").tobytes() for indices in split_indices(count, seed))
    return hashlib.sha256(
        source_digest.encode() + train[: None if limit is None else 8 * limit] + validation
    ).hexdigest()[:16]


def describe_source(name: str, data_dir: str | os.PathLike | None = None) -> str:
    """Return a sentence that says where a data set's images come from and how they were processed.

    Args:
        name: as for `load`, which must have been called before so that CIFAR-10 is prepared.
        data_dir: as for `load`.

    Raises:
        DataError: the records cannot be read.
    """
    if name == "digits":
        return "Its images are scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 32x32."
    from cnn3.data import cifar10

    return (
        f"Its images are those of TensorFlow Datasets {paths.VERSION}, kept without loss."
        if cifar10.image_encoding(data_dir) == "PNG"
        else "Its images passed through JPEG once, so accuracies may lie a little below those on the original ones."
    )


def split_indices(count: int, seed: int) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " validation"]]:
    """Return the indices of training and of validation images (original study, train.py, lines 58-64).

    They are shuffled with NumPy's legacy generator, and the first tenth is held out.
    """
    order = np.random.RandomState(seed).permutation(count)
    held_out = int(VALIDATION_FRACTION * count)
    return order[held_out:], order[:held_out]
