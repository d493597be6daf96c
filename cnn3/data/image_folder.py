"""A data set of one's own in a folder of image files, with a folder for each class as torchvision's ImageFolder."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnn3.data.array_cache import files_state, read_cache, user_cache, write_cache
from cnn3.data.splits import DataError, Source, make_source

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
PARTS = ("train", "test")
PREPROCESSING = 1  # to be raised whenever `read_image` returns other pixels for a file, so that no cache is stale

Files = Mapping[str, list[Path]]  # the image files of each class

log = logging.getLogger(__name__)


def read(folder: Path) -> Source:
    """Return the images in `folder/train/CLASS/` and `folder/test/CLASS/`, as `read_image` makes them.

    Classes are the names of the folders, sorted; both parts have the same. Files of other endings than `ENDINGS`, and
    what is hidden, do not count. Decoded images are cached in the user's cache folder.

    Raises:
        DataError: the folder has another layout, or an image cannot be read.
    """
    parts = {part: _list_files(folder, part) for part in PARTS}
    classes = _common_classes(folder, parts)
    state, cache = _state(folder, parts), user_cache(folder)
    if (cached := read_cache(cache, state, classes)) is not None:
        return cached
    train, test = (_decode(files) for files in parts.values())
    try:
        source = make_source(train, test, classes)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None
    write_cache(cache, source, state)
    return source


def list_classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes.

    Raises:
        DataError: the folder has another layout.
    """
    return _common_classes(folder, {part: _list_files(folder, part) for part in PARTS})


def _list_files(folder: Path, part: str) -> Files:
    """Return the image files of each class in the order of torchvision: by the names of folders, then of files."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder / part) if entry.is_dir() and _is_visible(entry.name))
        files = {name: _walk(folder / part / name) for name in names}
    except FileNotFoundError:
        raise DataError(f"{folder} has no folder {part}: class folders belong in {' and '.join(PARTS)}") from None
    except OSError as error:
        raise DataError(f"cannot read {error.filename} ({error.strerror})") from None
    if not files:
        raise DataError(f"{folder / part} has no class folders: put the images of each class in a folder of its own")
    for name, paths in files.items():
        if not paths:
            raise DataError(f"{folder / part / name} has no image file that ends with one of {', '.join(ENDINGS)}")
    return files


def _walk(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise error

    walk = os.walk(folder, onerror=fail, followlinks=True)  # as torchvision's ImageFolder does
    paths = [Path(parent, name) for parent, _, names in sorted(walk) for name in sorted(names)]
    return [
        path
        for path in paths
        if path.name.lower().endswith(ENDINGS) and all(map(_is_visible, path.relative_to(folder).parts))
    ]


def _is_visible(name: str) -> bool:
    return not name.startswith(".")


def _common_classes(folder: Path, parts: Mapping[str, Files]) -> tuple[str, ...]:
    train, test = (set(files) for files in parts.values())
    if train != test:
        name = min(train ^ test)
        having, lacking = ("train", "test") if name in train else ("test", "train")
        raise DataError(f"{folder / having} has the class {name!r}, but {folder / lacking} has not; it needs the same")
    return tuple(sorted(train))


def _state(folder: Path, parts: Mapping[str, Files]) -> str:
    """Return what identifies the image files and how they are read, in a few digits however many there are."""
    paths = [path for files in parts.values() for paths in files.values() for path in paths]
    try:
        state = files_state({str(path.relative_to(folder)): path for path in paths})
    except OSError as error:
        raise DataError(f"cannot read {error.filename} ({error.strerror})") from None
    return hashlib.sha256(json.dumps([PREPROCESSING, state]).encode()).hexdigest()


def _decode(files: Files) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of a part."""
    from cnn3.data.image_files import ImageError, read_image

    pairs = [(path, label) for label, paths in enumerate(files.values()) for path in paths]
    log.info("decoding %d images in %s", len(pairs), pairs[0][0].parent.parent)
    try:
        images = np.stack([read_image(path) for path, _ in pairs])
    except ImageError as error:
        raise DataError(str(error)) from None
    return images, np.array([label for _, label in pairs], np.int32)
