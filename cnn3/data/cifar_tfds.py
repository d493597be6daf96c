"""Preparing and decoding CIFAR-10 and CIFAR-100 with TFDS, but without TensorFlow."""

import errno
import functools
import io
import os
import shutil
import tarfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import requests
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import DownloadError, checksums, downloader
from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

from cnn3.data import cifar_python
from cnn3.data.paths import DATA_DIR_HINT, VERSION, is_prepared, is_writable
from cnn3.data.splits import DataError, Split

TIMEOUTS = (10.0, 60.0)  # seconds to wait for a connection, and for the next bytes
OFFLINE_HINT = "--dataset digits needs no download"


def decode(name: str, root: Path, part: str) -> Split:
    """Return the "train" or the "test" images of a prepared data set in `root`, in the order of the records.

    They are decoded by Pillow instead of TFDS, which uses OpenCV if that is installed: JPEG decoders differ.
    """
    source: Any = tfds.data_source(
        f"{name}:{VERSION}",
        split=part,
        data_dir=root,
        download=False,
        decoders={"image": tfds.decode.SkipDecoding()},  # type: ignore[reportCallIssue]
        builder_kwargs={"file_format": "array_record"},
    )
    rows = source.__getitems__(range(len(source)))
    images = np.stack([np.asarray(Image.open(io.BytesIO(row["image"]))) for row in rows])
    return Split(images, np.array([row["label"] for row in rows], np.int32))


def prepare(name: str, root: Path, folder: Path) -> None:
    """Have TFDS write the records of `cifar10` or `cifar100` into `folder`, all or none of them.

    Raises:
        DataError: this failed; partial downloads and records have been removed.
    """
    if folder.exists():
        raise DataError(f"{folder} lacks dataset_info.json: remove it to have it prepared again, or {DATA_DIR_HINT}")
    base = next(path for path in (folder.parent, root, *root.absolute().parents) if path.exists())
    if not is_writable(base):
        raise DataError(
            f"{name} is not prepared in {root}, and {base} is not writable: {DATA_DIR_HINT}; {OFFLINE_HINT}"
        )
    try:
        with _cleanup_on_failure(name, root):
            builder = BUILDERS[name](data_dir=root, file_format="array_record")
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except DataError:
        raise
    except Exception as error:  # a failed write is an OSError or array_record's RuntimeError
        if is_prepared(folder):
            return  # another process was faster
        if os.strerror(errno.ENOSPC) in str(error):
            full = f"the disk of {root} is full: {name} needs 500 MB; free some space, or {DATA_DIR_HINT}"
            raise DataError(full) from error
        raise DataError(f"cannot prepare {name} in {root} ({_reason(error)}): fix that, or {DATA_DIR_HINT}") from error


class WithoutTensorFlow(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A part of TFDS's builders of CIFAR without the steps that need TensorFlow: opening files and encoding images."""

    VERSION = tfds.core.Version(VERSION)
    _cifar_info: Any  # of TFDS's builder: the archive's address and what is in it

    def _split_generators(self, dl_manager: Any) -> dict[str, Generator]:
        info = self._cifar_info
        content = _read_files(self.name, Path(self.data_dir_root), info, dl_manager)
        features: Any = self.info.features
        for key, file in zip(info.label_keys, info.label_files, strict=True):
            features[key].names = content[file].decode().split()
        return {
            part: self._generate_examples(f"{part}_", [content[name] for name in batches])
            for part, batches in (("train", info.train_files), ("test", info.test_files))
        }

    def _generate_examples(self, split_prefix: str, filepaths: list[bytes]) -> Generator[tuple[int, dict], Any, None]:
        keys = self._cifar_info.label_keys
        rows = np.frombuffer(b"".join(filepaths), np.uint8).reshape(-1, len(keys) + 3 * 32 * 32)
        for index, row in enumerate(rows):
            labels, pixels = np.split(row, [len(keys)])
            encoded = io.BytesIO()
            Image.fromarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0)).save(encoded, "PNG")
            example = {"id": f"{split_prefix}{index:05d}", "image": encoded.getvalue()}
            yield index, {**example, **dict(zip(keys, labels, strict=True))}


class Cifar10(WithoutTensorFlow, tfds.image_classification.Cifar10, skip_registration=True):  # type: ignore[reportGeneralTypeIssues]
    """TFDS's builder of CIFAR-10, without TensorFlow."""


class Cifar100(WithoutTensorFlow, tfds.image_classification.Cifar100, skip_registration=True):  # type: ignore[reportGeneralTypeIssues]
    """TFDS's builder of CIFAR-100, without TensorFlow."""


BUILDERS: Mapping[str, Any] = {"cifar10": Cifar10, "cifar100": Cifar100}


def _read_files(name: str, root: Path, info: Any, dl_manager: Any) -> dict[str, bytes]:
    """Return the files of a data set's binary version by their names.

    They come from its archive in TFDS's manual folder, else from the python version, else from a download.

    Raises:
        DataError: there is none of them, or it is damaged.
    """
    if not _manual_archive(root, info.url).exists():
        content = cifar_python.read_as_binary(name, root)
        if content is not None:
            return content
    with tarfile.open(_fetch(name, root, info.url, dl_manager)) as archive:
        opened = ((member.name, archive.extractfile(member)) for member in archive)
        return {name.removeprefix(info.prefix): file.read() for name, file in opened if file}


def _manual_archive(root: Path, url: str) -> Path:
    return root / "downloads" / "manual" / url.rpartition("/")[2]


def _fetch(name: str, root: Path, url: str, dl_manager: Any) -> Path:
    """Return the path of a data set's archive, after comparing its checksum with the one registered with TFDS.

    TFDS uses the archive in its manual folder, if any, instead of downloading it.

    Raises:
        DataError: it cannot be downloaded, or is not the one registered.
    """
    expected = checksums.get_all_url_infos()[url]
    manual = _manual_archive(root, url)
    python = " or ".join(map(str, cifar_python.VERSIONS[name].places(root)))
    hint = f"put {manual.name} in {manual.parent}, or what torchvision downloads at {python}, or {DATA_DIR_HINT}"
    hint = f"{hint}; {OFFLINE_HINT}"
    if manual.exists():
        _verify(manual, expected, hint)
    try:
        with _timeouts():
            path = Path(dl_manager.download(url))
    except NonMatchingChecksumError as error:
        wrong = f"the checksum of {url} is not the one registered with TFDS: try again later, or {hint}"
        raise DataError(wrong) from error
    except (requests.RequestException, DownloadError) as error:
        offline = f"{name} is not prepared in {root}, and {url} cannot be downloaded"
        raise DataError(f"{offline} ({_reason(_root_cause(error))}): {hint}") from error
    _verify(path, expected, hint)
    return path


def _verify(path: Path, expected: checksums.UrlInfo, hint: str) -> None:
    actual = checksums.compute_url_info(path)
    if actual != expected:
        raise DataError(
            f"{path} is damaged or another file: {int(actual.size)} bytes with SHA-256 {actual.checksum}, not "
            f"{int(expected.size)} with {expected.checksum}; remove it to have it downloaded again, or {hint}"
        )


@contextmanager
def _timeouts() -> Iterator[None]:
    """Let TFDS give up on a silent host: it waits forever, retries for minutes, and has no option for either."""
    open_url, retries = downloader._open_url, downloader.MAX_RETRIES
    downloader._open_url = functools.partial(open_url, timeout=TIMEOUTS)
    downloader.MAX_RETRIES = 0
    try:
        yield
    finally:
        downloader._open_url, downloader.MAX_RETRIES = open_url, retries


@contextmanager
def _cleanup_on_failure(name: str, root: Path) -> Iterator[None]:
    """Remove the partial downloads and empty folders that TFDS leaves behind when it fails."""
    downloads = root / "downloads"
    folders = downloads / "extracted", downloads / name, downloads, root / name, root
    new = [path for path in folders if not path.exists()]
    before = set(downloads.glob(f"{name}/*.tmp.*"))
    try:
        yield
    except BaseException:
        for path in set(downloads.glob(f"{name}/*.tmp.*")) - before:
            shutil.rmtree(path, ignore_errors=True)
        for path in new:
            with suppress(OSError):  # not empty: something was finished
                path.rmdir()
        raise


def _root_cause(error: BaseException) -> BaseException:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _reason(error: BaseException) -> str:
    return str(error).split("\n")[0] or type(error).__name__
