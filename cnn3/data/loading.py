"""`load`: a data set by its name or path, whose training and validation images are split as in the original program."""

import os
import re
from pathlib import Path

from cnn3 import files
from cnn3.config import SEED
from cnn3.data import cifar, digits, image_folder, npz_file, paths
from cnn3.data.dataset import CLASS_NAMES, Dataset, identify
from cnn3.data.splits import DataError, Source

OWN_DATA = "a .npz file or a folder with train/ and test/"


def load(
    name: str | os.PathLike, data_dir: str | os.PathLike | None = None, *, seed: int = SEED, limit: int | None = None
) -> Dataset:
    """Return a data set whose training images are split into train and validation as in the original program.

    Args:
        name: "cifar10" or "cifar100", which TFDS reads (after preparing it once), "digits", which comes with
            scikit-learn, or the path of data of your own: a .npz file (`npz_file.read`) or a folder with a folder of
            image files for each class (`image_folder.read`). The data set is then known by `dataset_name`.
        data_dir: TFDS's folder; None means TFDS's default: TFDS_DATA_DIR, else ~/tensorflow_datasets. Only used for
            cifar10 and cifar100.
        seed: the seed of the validation split; the test set does not depend on it.
        limit: keep only the first `limit` training images.

    Raises:
        DataError: there is no such data set, the seed or limit is out of range, or the data is not available, damaged
            or of another shape or type.
    """
    return Dataset.from_source(dataset_name(name), read_source(name, data_dir), seed=seed, limit=limit)


def read_source(name: str | os.PathLike, data_dir: str | os.PathLike | None) -> Source:
    """Return a data set before it is split, from which `Dataset.from_source` makes what `load` returns.

    Args:
        name: as for `load`.
        data_dir: as for `load`.

    Raises:
        DataError: there is no such data set, or it is not available or damaged.
    """
    if name == "digits":
        return digits.read()
    if name in cifar.CIFAR:
        return cifar.read(str(name), data_dir)
    path = _own_path(name)
    return image_folder.read(path) if path.is_dir() else npz_file.read(path)


def dataset_name(name: str | os.PathLike) -> str:
    """Return the name of the data set that `load` returns: for a path, its stem, with _ for what no name may have.

    Raises:
        DataError: there is no such data set, or its path makes no name, or that of a data set that cnn3 knows.
    """
    if name in CLASS_NAMES:
        return str(name)
    path = _own_path(name)
    stem = path.absolute().name if path.is_dir() else path.stem
    fitted = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:40].rstrip("_")
    if not fitted or fitted in CLASS_NAMES:
        reason = f"that is the name of a data set that cnn3 knows: {fitted}" if fitted else "it has no letter or digit"
        raise DataError(f"{path} cannot give its name to a data set ({reason}); rename it, for example to my_images")
    return fitted


def class_names(name: str | os.PathLike) -> tuple[str, ...]:
    """Return the names of a data set's classes, in the order of their labels.

    Raises:
        DataError: there is no such data set, or it is damaged.
    """
    if name in CLASS_NAMES:
        return CLASS_NAMES[str(name)]
    path = _own_path(name)
    return image_folder.list_classes(path) if path.is_dir() else npz_file.read(path).classes


def dataset_digest(name: str, data_dir: str | os.PathLike | None, *, seed: int, limit: int | None) -> str | None:
    """Return the `digest` of what `load` returns, or None if it is not known without reading the images.

    Args:
        name: of the data set, as in `RunConfig.dataset`; it need not be one that `load` knows.
        data_dir: as for `load`.
        seed: as for `load`.
        limit: as for `load`.
    """
    if name not in cifar.CIFAR:
        return None
    digest = cifar.cached_digest(name, data_dir)
    return digest and identify(digest, cifar.IMAGES["train"], seed, limit)


def describe_source(name: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> str:
    """Return a sentence that says where a data set's images come from and how they were processed.

    Args:
        name: as for `load`, which must have been called before so that CIFAR is prepared.
        data_dir: as for `load`.

    Raises:
        DataError: the records cannot be read.
    """
    if name == "digits":
        return "Its images are scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 32x32."
    if name not in cifar.CIFAR:
        return f"Its images are those of {Path(name).name}."
    return (
        f"Its images are those of TensorFlow Datasets {paths.VERSION}, kept without loss."
        if cifar.image_encoding(str(name), data_dir) == "PNG"
        else "Its images passed through JPEG once, so accuracies may lie a little below those on the original ones."
    )


def _own_path(name: str | os.PathLike) -> Path:
    """Return the path of a user's own data.

    Raises:
        DataError: nothing is there that can be read as data.
    """
    path = Path(os.path.expanduser(name))
    choices = f"choose one of {', '.join(CLASS_NAMES)}, or name {OWN_DATA}"
    if files.is_address(path):
        raise DataError(f"the data set {path} is an address, not a file of this machine: {choices}")
    if not os.path.exists(path):
        raise DataError(f"there is no data set or file {str(path)!r}: {choices}")
    if not path.is_dir() and path.suffix.lower() != ".npz":
        raise DataError(f"{path} is neither {OWN_DATA}: {choices}")
    return path
