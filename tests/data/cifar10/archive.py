"""An archive like CIFAR-10's made of few digits, TFDS told of it, and troubles with files."""

import hashlib
import io
import logging
import resource
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow_datasets.core.utils import Size

from cnn3.data import cifar, cifar_tfds
from cnn3.data.dataset import DataError, Dataset, Split

SMALL = {"train": 20, "test": 10}  # images of each class in the archive made here
TOTAL = {part: 10 * each for part, each in SMALL.items()}
CLOSED = "http://127.0.0.1:9/cifar-10-binary.tar.gz"  # nothing listens on the discard port


def folder_in(root: Path) -> Path:
    return root / "cifar10" / "3.0.2"


def make_archive(train: Split, test: Split) -> bytes:
    """Return a `cifar-10-binary.tar.gz` as the real one: five training files and a test file, in no order."""
    packed = io.BytesIO()
    parts = np.array_split(np.arange(len(train.labels)), 5)
    batches = {f"data_batch_{i + 1}": Split(train.images[part], train.labels[part]) for i, part in enumerate(parts)}
    batches["test_batch"] = test
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck", ""]
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        for name, batch in reversed(batches.items()):
            planes = batch.images.transpose(0, 3, 1, 2).reshape(len(batch.labels), -1)
            add(f"{name}.bin", np.column_stack([batch.labels.astype(np.uint8), planes]).tobytes())
        add("batches.meta.txt", "\n".join(names).encode())
    return packed.getvalue()


def put_by_hand(root: Path, archive: bytes) -> Path:
    path = root / "downloads" / "manual" / "cifar-10-binary.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(archive)
    return path


def register(patch: pytest.MonkeyPatch, archive: bytes, url: str = CLOSED) -> None:
    """Have TFDS know this archive as CIFAR-10's."""
    real: Any = cifar_tfds.Cifar10._cifar_info.fget
    info = cifar_tfds.checksums.UrlInfo(
        Size(len(archive)), hashlib.sha256(archive).hexdigest(), "cifar-10-binary.tar.gz"
    )
    patch.setattr(cifar_tfds.checksums, "get_all_url_infos", lambda: {url: info})
    patch.setattr(cifar_tfds.Cifar10, "_cifar_info", property(lambda self: real(self)._replace(url=url)))
    patch.setattr(cifar, "IMAGES", TOTAL)


def same(dataset: Dataset, images: dict[str, Split]) -> bool:
    """Whether a data set consists of these images and labels, in whatever order."""

    def rows(*parts: Split) -> list[bytes]:
        return sorted(bytes([label]) + image.tobytes() for part in parts for image, label in zip(*part, strict=True))

    return rows(dataset.train, dataset.validation) == rows(images["train"]) and rows(dataset.test) == rows(
        images["test"]
    )


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def one_line(caught: pytest.ExceptionInfo[DataError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let the kernel refuse to write more than so many bytes into a file, as it refuses where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
