"""Data sets: what `load` returns, and what it says when it cannot."""

import errno
import hashlib
import importlib.abc
import io
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from tensorflow_datasets.core.utils import Size

from cnn3 import cifar10, cifar10_tfds
from cnn3.data import CIFAR10_CLASSES, DataError, Dataset, Split, load, split_indices

REPOSITORY = Path(__file__).parents[1]
SMALL = {"train": 20, "test": 10}  # images of each class in the archive made here
CLOSED = "http://127.0.0.1:9/cifar-10-binary.tar.gz"  # nothing listens on the discard port


# --- what the tests work on


class NoTensorFlow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A TensorFlow that is installed, as far as one asks, but fails when it is imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "tensorflow" else None

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("TensorFlow was imported")


@pytest.fixture(autouse=True)
def _no_tensorflow_and_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow(), *sys.meta_path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


@pytest.fixture(scope="session")
def tfds_dir() -> Path:
    """TFDS's folder with the whole of CIFAR-10."""
    root = Path(os.environ.get("TFDS_DATA_DIR", REPOSITORY.parent / "shared" / "tensorflow_datasets"))
    if not cifar10.is_prepared(folder_in(root)):
        pytest.skip(f"CIFAR-10 is not in {root}: prepare it with cnn3.load('cifar10'), or set TFDS_DATA_DIR")
    return root


@pytest.fixture(scope="session")
def whole(tfds_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        return load("cifar10", tfds_dir)


@pytest.fixture(scope="session")
def images() -> dict[str, Split]:
    """As many digits of each class as `SMALL` says."""
    dataset = load("digits")

    def pick(part: Split, each: int) -> Split:
        kept = np.concatenate([np.flatnonzero(part.labels == label)[:each] for label in range(10)])
        kept = np.random.default_rng(0).permutation(kept)
        return Split(part.images[kept], part.labels[kept])

    return {"train": pick(dataset.train, SMALL["train"]), "test": pick(dataset.test, SMALL["test"])}


@pytest.fixture(scope="session")
def archive(images: dict[str, Split]) -> bytes:
    return make_archive(images["train"], images["test"])


@pytest.fixture(scope="session")
def prepared(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TFDS's folder with the records of `images`; not to be changed."""
    root = tmp_path_factory.mktemp("prepared")
    put_by_hand(root, archive)
    with pytest.MonkeyPatch.context() as patch:
        register(patch, archive)
        cifar10_tfds.prepare(root, folder_in(root))
    shutil.rmtree(root / "downloads")
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `prepared`."""
    monkeypatch.setattr(cifar10, "PER_CLASS", SMALL)
    return Path(shutil.copytree(prepared, tmp_path / "data"))


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
    real: Any = cifar10_tfds.Cifar10._cifar_info.fget
    info = cifar10_tfds.checksums.UrlInfo(
        Size(len(archive)), hashlib.sha256(archive).hexdigest(), "cifar-10-binary.tar.gz"
    )
    patch.setattr(cifar10_tfds.checksums, "get_all_url_infos", lambda: {url: info})
    patch.setattr(cifar10_tfds.Cifar10, "_cifar_info", property(lambda self: real(self)._replace(url=url)))
    patch.setattr(cifar10, "PER_CLASS", SMALL)


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


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user without privileges, if the tests run as the superuser."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar100"}, "no data set 'cifar100': choose one of cifar10, digits"),
        ({"name": "digits", "limit": 0}, "limit 0 is out of range: digits has 1294 training images"),
        ({"name": "digits", "limit": 1295}, "limit 1295 is out of range"),
        ({"name": "digits", "seed": -1}, "seed -1 cannot .* from 0 to 4294967295"),
        ({"name": "digits", "seed": 2**32}, "seed 4294967296 cannot"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(**arguments)


def test_limit_keeps_the_first_training_images() -> None:
    full, part = load("digits"), load("digits", limit=100)
    assert len(part.train.labels) == 100
    np.testing.assert_array_equal(part.train.images, full.train.images[:100])
    np.testing.assert_array_equal(part.train.labels, full.train.labels[:100])
    np.testing.assert_array_equal(part.validation.images, full.validation.images)
    np.testing.assert_array_equal(part.test.images, full.test.images)


# --- the split


def split_by_the_report(count: int, seed: int) -> tuple[list[int], list[int]]:
    """The split as the report's train.py has it, lines 58-64."""
    state = np.random.get_state()
    indices = list(range(count))
    split_idx = int(np.floor(0.1 * count))
    np.random.seed(seed)
    np.random.shuffle(indices)
    np.random.set_state(state)
    return indices[split_idx:], indices[:split_idx]


@given(count=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1))
def test_split_is_the_reports(count: int, seed: int) -> None:
    train, validation = split_indices(count, seed)
    assert (train.tolist(), validation.tolist()) == split_by_the_report(count, seed)
    assert sorted([*train, *validation]) == list(range(count))
    assert len(validation) == count // 10


# --- digits


def enlarge(values: np.ndarray) -> np.ndarray:
    """Return 8x8 values at 32x32, by linear interpolation between the centres of pixels."""
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))
    return weights @ values @ weights.T


def test_digits_are_scikit_learns_enlarged() -> None:
    values, labels = load_digits(return_X_y=True)
    dataset = load("digits", seed=7)
    order = np.random.RandomState(0).permutation(1797)  # the last 360 of which are the test set
    train, validation = (order[indices] for indices in split_by_the_report(1437, 7))
    rows = {"train": train, "validation": validation, "test": order[1437:]}
    assert dataset.name == "digits"
    assert dataset.classes == tuple("0123456789")
    for name, indices in rows.items():
        part = getattr(dataset, name)
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(part.labels, labels[indices])
        wanted = enlarge(values[indices].reshape(-1, 8, 8) / 16 * 255)
        np.testing.assert_allclose(part.images, np.repeat(wanted[..., None], 3, axis=-1), atol=1.5)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_test_set_does_not_depend_on_the_seed(seed: int) -> None:
    one, other = load("digits"), load("digits", seed=seed)
    np.testing.assert_array_equal(one.test.images, other.test.images)
    np.testing.assert_array_equal(one.test.labels, other.test.labels)


# --- the whole of CIFAR-10


def test_cifar10_is_tfdss(whole: Dataset, tfds_dir: Path) -> None:
    train, validation = split_by_the_report(50_000, 3136)
    sources: Any = tfds.data_source("cifar10", data_dir=tfds_dir, builder_kwargs={"file_format": "array_record"})
    wanted = {"train": ("train", train), "validation": ("train", validation), "test": ("test", list(range(10_000)))}
    for name, (source, indices) in wanted.items():
        part = getattr(whole, name)
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int32)
        assert part.images.shape == (len(indices), 32, 32, 3)
        assert part.labels.shape == (len(indices),)
        for i in np.random.default_rng(0).choice(len(indices), 50, replace=False):
            row = sources[source][indices[i]]
            np.testing.assert_array_equal(part.images[i], row["image"])
            assert part.labels[i] == row["label"]


def test_cifar10_has_all_images_of_all_classes(whole: Dataset, tfds_dir: Path) -> None:
    trained_on = np.concatenate([whole.train.labels, whole.validation.labels])
    assert np.bincount(trained_on).tolist() == [5000] * 10
    assert np.bincount(whole.test.labels).tolist() == [1000] * 10
    names = (folder_in(tfds_dir) / "label.labels.txt").read_text().split()
    short = {"airplane": "plane", "automobile": "car"}
    assert whole.classes == CIFAR10_CLASSES == tuple(short.get(name, name) for name in names)


def test_prepared_records_are_as_tfds_prepares_them(
    tfds_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first images of CIFAR-10, prepared here, have the ids, and the order, of the prepared data set."""

    def rows(root: Path, part: str) -> list[tuple[bytes, int, bytes]]:
        only_bytes: Any = {"image": tfds.decode.SkipDecoding()}
        kwargs = {"file_format": "array_record"}
        source: Any = tfds.data_source("cifar10", split=part, data_dir=root, decoders=only_bytes, builder_kwargs=kwargs)
        return [(row["id"], row["label"], row["image"]) for row in source.__getitems__(range(len(source)))]

    def pixels(encoded: bytes) -> np.ndarray:
        return np.asarray(cifar10_tfds.Image.open(io.BytesIO(encoded)))

    first = [row for row in rows(tfds_dir, "test") if row[0] < b"test_00200"]
    by_id = sorted(first)
    part = Split(np.stack([pixels(row[2]) for row in by_id]), np.array([row[1] for row in by_id], np.int32))
    archive = make_archive(part, part)
    register(monkeypatch, archive)
    put_by_hand(tmp_path, archive)
    cifar10_tfds.prepare(tmp_path, folder_in(tmp_path))
    found = rows(tmp_path, "test")
    assert [row[:2] for row in found] == [row[:2] for row in first]
    assert all(np.array_equal(pixels(one[2]), pixels(other[2])) for one, other in zip(found, first, strict=True))
    assert sorted(row[0].decode() for row in rows(tmp_path, "train")) == [f"train_{i:05d}" for i in range(200)]
    names = "label.labels.txt"
    assert (folder_in(tmp_path) / names).read_text() == (folder_in(tfds_dir) / names).read_text()


# --- preparing


@pytest.mark.parametrize("by", ["argument", "environment", "home"])
def test_prepares_an_archive_put_there_by_hand(
    by: str, archive: bytes, images: dict[str, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, archive)
    root = tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    if by == "environment":
        monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    put_by_hand(root, archive)
    assert same(load("cifar10", root if by == "argument" else None), images)
    assert files_in(root / "cifar10") == [
        "3.0.2",
        "3.0.2/cifar10-test.array_record-00000-of-00001",
        "3.0.2/cifar10-train.array_record-00000-of-00001",
        "3.0.2/cnn3-arrays.safetensors",
        "3.0.2/dataset_info.json",
        "3.0.2/features.json",
        "3.0.2/label.labels.txt",
    ]


class Host(BaseHTTPRequestHandler):
    """A host that sends an archive, or fails to."""

    archive: ClassVar[bytes]
    behaviour: ClassVar[str]
    released: ClassVar[threading.Event]
    requests: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        status = {"absent": 404, "overloaded": 503}.get(self.behaviour, 200)
        self.send_response(status)
        self.send_header("Content-Length", str(len(self.archive)))
        self.end_headers()
        body = {"damaged": bytes(len(self.archive)), "good": self.archive}.get(self.behaviour, self.archive[:1000])
        self.wfile.write(body)
        if self.behaviour == "silent":
            self.wfile.flush()
            self.released.wait(30)  # and then closes, which is another failure than a timeout

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def host(archive: bytes, behaviour: str) -> Iterator[tuple[str, list[str]]]:
    released, requests = threading.Event(), []
    handler = type(
        "Host", (Host,), {"archive": archive, "behaviour": behaviour, "released": released, "requests": requests}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/cifar-10-binary.tar.gz", requests
        finally:
            released.set()
            server.shutdown()
            thread.join()


def test_downloads(archive: bytes, images: dict[str, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with host(archive, "good") as (url, _):
        register(monkeypatch, archive, url)
        assert same(load("cifar10", tmp_path / "new"), images)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("damaged", "has not the checksum registered with TFDS"),
        ("absent", "404"),
        ("overloaded", "503"),
        ("cut off", "cannot be downloaded"),
        ("silent", "timed out"),
    ],
)
def test_failed_download(
    behaviour: str, message: str, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if behaviour == "silent":
        monkeypatch.setattr(cifar10_tfds, "TIMEOUTS", (60.0, 0.2))
    with host(archive, behaviour) as (url, requests):
        register(monkeypatch, archive, url)
        with pytest.raises(DataError, match=message) as caught:
            load("cifar10", tmp_path / "new")
    assert f"put cifar-10-binary.tar.gz in {tmp_path}/new/downloads/manual" in one_line(caught)
    assert not (tmp_path / "new").exists()
    assert len(requests) <= 1  # a host in trouble is not tried for minutes


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real address, but no way there."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", CLOSED)
    with pytest.raises(DataError) as caught:
        load("cifar10", tmp_path)
    message = one_line(caught)
    assert (
        f"cifar10 is not prepared in {tmp_path}, and https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in message
    )
    assert "Connection refused" in message
    assert f"put cifar-10-binary.tar.gz in {tmp_path}/downloads/manual" in message
    assert "--data-dir or TFDS_DATA_DIR" in message
    assert "--dataset digits needs no download" in message
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "another"])
def test_damaged_archive(damage: str, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 1
    damaged = {"truncated": archive[:5000], "flipped": bytes(flipped), "another": b"<html>"}[damage]
    register(monkeypatch, archive)
    path = put_by_hand(tmp_path, damaged)
    with pytest.raises(DataError) as caught:
        load("cifar10", tmp_path)
    message = one_line(caught)
    assert f"{path} is damaged or another file: {len(damaged)} bytes" in message
    assert f"not {len(archive)} with {hashlib.sha256(archive).hexdigest()}" in message
    assert files_in(tmp_path) == files_in_manual()


def test_the_real_archives_checksum_is_tfdss(archive: bytes, tmp_path: Path) -> None:
    put_by_hand(tmp_path, archive)
    with pytest.raises(
        DataError, match="not 170052171 with c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1d"
    ):
        load("cifar10", tmp_path)


def test_download_damaged_after_it_was_checked(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with host(archive, "good") as (url, _):
        register(monkeypatch, archive, url)
        load("cifar10", tmp_path)
    shutil.rmtree(tmp_path / "cifar10")
    (path,) = (tmp_path / "downloads" / "cifar10").glob("*.gz")
    path.write_bytes(archive[:5000])
    with pytest.raises(DataError, match=f"{path} is damaged"):
        load("cifar10", tmp_path)


def test_archive_without_what_it_should_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w:gz").close()
    register(monkeypatch, empty.getvalue())
    put_by_hand(tmp_path, empty.getvalue())
    with pytest.raises(DataError, match=f"cannot prepare cifar10 in {tmp_path} .*batches.meta.txt"):
        load("cifar10", tmp_path)
    assert files_in(tmp_path) == files_in_manual()


@pytest.mark.parametrize("full", [False, True])
def test_records_cannot_be_written(full: bool, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails, with one of the kernel's answers or, its number exchanged for the real one, another."""
    register(monkeypatch, archive)
    put_by_hand(tmp_path, archive)
    if full:
        monkeypatch.setattr(errno, "ENOSPC", errno.EFBIG)
    with file_size_limit(10_000), pytest.raises(DataError) as caught:
        load("cifar10", tmp_path)
    message = one_line(caught)
    if full:
        assert message.startswith(f"the disk of {tmp_path} is full: cifar10 needs 500 MB; free them, or name another")
    else:
        assert message.startswith(f"cannot prepare cifar10 in {tmp_path} (")
        assert "File too large" in message
    assert files_in(tmp_path) == files_in_manual()


def files_in_manual() -> list[str]:
    return ["downloads", "downloads/manual", "downloads/manual/cifar-10-binary.tar.gz"]


def test_two_prepare_at_once(
    archive: bytes, images: dict[str, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process finishes while this one is about to begin."""
    register(monkeypatch, archive)
    put_by_hand(tmp_path, archive)
    fetch = cifar10_tfds._fetch

    def fetch_after_the_other(*args: Any) -> Path:
        monkeypatch.setattr(cifar10_tfds, "_fetch", fetch)
        cifar10_tfds.prepare(tmp_path, folder_in(tmp_path))
        return fetch(*args)

    monkeypatch.setattr(cifar10_tfds, "_fetch", fetch_after_the_other)
    assert same(load("cifar10", tmp_path), images)
    assert files_in(tmp_path / "cifar10")[0] == "3.0.2"


# --- folders


def test_data_dir_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DataError, match=f"cannot read the data folder {path} .Not a directory.: name another folder"):
        load("cifar10", path)


def test_data_dir_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir(mode=0)
    with nobody(), pytest.raises(DataError, match=f"cannot read the data folder {path} .Permission denied."):
        load("cifar10", path)


def test_data_dir_is_read_only_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir(mode=0o555)
    with pytest.raises(DataError, match=f"not prepared in {path}, and {path} is not writable: name another folder"):
        load("cifar10", path)


def test_folder_without_records(root: Path) -> None:
    for path in folder_in(root).glob("*array_record*"):
        path.unlink()
    with pytest.raises(DataError, match=f"{folder_in(root)} lacks array_record files: remove it"):
        load("cifar10", root)


def test_folder_that_is_not_finished(root: Path) -> None:
    (folder_in(root) / "dataset_info.json").unlink()
    with pytest.raises(DataError, match=f"{folder_in(root)} lacks dataset_info.json: remove it"):
        load("cifar10", root)


# --- records


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "noise"])
def test_damaged_records(damage: str, root: Path) -> None:
    path = folder_in(root) / "cifar10-test.array_record-00000-of-00001"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[10_000] ^= 1
    noise = np.random.default_rng(0).bytes(len(content))
    path.write_bytes({"flipped": bytes(flipped), "truncated": content[:10_000], "empty": b"", "noise": noise}[damage])
    with pytest.raises(DataError) as caught:
        load("cifar10", root)
    assert one_line(caught).startswith(f"cannot read {path} (")
    assert f"remove {folder_in(root)} to have it prepared anew" in str(caught.value)
    assert "cnn3-arrays.safetensors" not in files_in(folder_in(root))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00"])
def test_damaged_dataset_info(content: bytes, root: Path) -> None:
    (folder_in(root) / "dataset_info.json").write_bytes(content)
    with pytest.raises(DataError, match=f"remove {folder_in(root)} to have it prepared anew"):
        load("cifar10", root)


def test_records_that_are_not_all_of_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "PER_CLASS", {"train": 20, "test": 1000})
    with pytest.raises(DataError, match=r"the test set has not 1000 images of each class, but \{0: 10, 1: 10"):
        load("cifar10", root)


# --- the decoded arrays that are kept


def test_second_start_reads_arrays_alone(root: Path, images: dict[str, Split]) -> None:
    """In a new process, which imports neither TFDS nor TensorFlow."""
    first = load("cifar10", root)
    program = f"""
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
from cnn3 import cifar10, data
cifar10.PER_CLASS = {SMALL}
sys.stdout.buffer.write(data.load("cifar10", {str(root)!r}).train.images.tobytes())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=REPOSITORY)
    assert done.stdout == first.train.images.tobytes()
    assert same(first, images)


def damaged(content: bytes, damage: str) -> bytes:
    changed = bytearray(content)
    position = {"image": len(content) // 2, "last label": len(content) - 4, "header": 20, "length": 2}.get(damage, 0)
    changed[position] ^= 1
    return {"truncated": content[:-1], "half": content[: len(content) // 2], "empty": b""}.get(damage, bytes(changed))


@pytest.mark.parametrize("damage", ["image", "last label", "header", "length", "truncated", "half", "empty"])
def test_damaged_arrays_are_made_anew(
    damage: str, root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    path = folder_in(root) / "cnn3-arrays.safetensors"
    load("cifar10", root)
    path.write_bytes(damaged(path.read_bytes(), damage))
    assert same(load("cifar10", root), images)
    (warning,) = warnings_in(caplog)
    assert warning.startswith(f"{path} cannot be used (")
    assert "\n" not in warning
    caplog.clear()
    assert same(load("cifar10", root), images)
    assert warnings_in(caplog) == []


@pytest.fixture(scope="session")
def kept(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """The arrays of `prepared` as they are kept, and the state of its records."""
    root = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("kept") / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10, "PER_CLASS", SMALL)
        load("cifar10", root)
    content = (folder_in(root) / "cnn3-arrays.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return content, header["__metadata__"]["records"]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_flipped_bit_goes_unseen(kept: tuple[bytes, str], data: st.DataObject) -> None:
    content, state = kept
    header = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.one_of(st.integers(0, header - 1), st.integers(header, len(content) - 1)))
    changed = bytearray(content)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    path = Path(os.environ["XDG_CACHE_HOME"]).with_name("flipped")
    path.write_bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10, "PER_CLASS", SMALL)
        assert cifar10._read_cache(path, state) is None
        path.write_bytes(content)
        assert cifar10._read_cache(path, state) is not None


def test_arrays_of_other_records_are_made_anew(
    root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_in(root)
    first = load("cifar10", root)
    records = folder / "cifar10-train.array_record-00000-of-00001"
    changed = (folder / "cnn3-arrays.safetensors").read_bytes()
    os.utime(records, ns=(0, records.stat().st_mtime_ns + 1))
    caplog.set_level(logging.INFO, "cnn3")
    again = load("cifar10", root)
    assert "was made from other record files" in caplog.text
    assert (folder / "cnn3-arrays.safetensors").read_bytes() != changed
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert same(again, images)


def test_read_only_folder(
    root: Path, images: dict[str, Split], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_in(root).chmod(0o555)
    before = files_in(root)
    caplog.set_level(logging.INFO, "cnn3")
    load("cifar10", root)
    assert files_in(root) == before
    (path,) = (tmp_path / "user-cache" / "cnn3").glob("*/cnn3-arrays.safetensors")
    assert f"keeping the decoded images in {path}" in caplog.text
    (folder_in(root) / "cifar10-test.array_record-00000-of-00001").read_bytes()
    caplog.clear()
    assert same(load("cifar10", root), images)
    assert caplog.text == ""  # nothing was decoded


def test_no_place_for_the_arrays(
    root: Path, images: dict[str, Split], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_in(root).chmod(0o555)
    (tmp_path / "user-cache").touch()
    assert same(load("cifar10", root), images)
    (warning,) = [line for line in warnings_in(caplog) if "not kept" in line]
    assert warning.startswith("the decoded images are not kept, so the next start has to decode them again: ")
    assert f"{tmp_path}/user-cache" in warning


def test_disk_full_while_keeping_the_arrays(
    root: Path, images: dict[str, Split], caplog: pytest.LogCaptureFixture
) -> None:
    before = files_in(root)
    with file_size_limit(400_000):
        assert same(load("cifar10", root), images)
    (warning,) = warnings_in(caplog)
    assert warning.startswith("the decoded images are not kept")
    assert "File too large" in warning
    assert files_in(root) == before
