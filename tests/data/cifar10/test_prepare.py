"""Preparing CIFAR-10: its archive downloaded or put there by hand, and what is said when that fails."""

import errno
import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cnn3.data import cifar_tfds
from cnn3.data.dataset import DataError, Split
from cnn3.data.loading import load
from tests.data.cifar10.archive import (
    CLOSED,
    file_size_limit,
    files_in,
    folder_in,
    one_line,
    put_by_hand,
    register,
    same,
)
from tests.helpers.users import nobody


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
        ("damaged", "is not the one registered with TFDS"),
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
        monkeypatch.setattr(cifar_tfds, "TIMEOUTS", (60.0, 0.2))
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
        assert message.startswith(
            f"the disk of {tmp_path} is full: cifar10 needs 500 MB; free some space, or name another"
        )
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
    fetch = cifar_tfds._fetch

    def fetch_after_the_other(*args: Any) -> Path:
        monkeypatch.setattr(cifar_tfds, "_fetch", fetch)
        cifar_tfds.prepare("cifar10", tmp_path, folder_in(tmp_path))
        return fetch(*args)

    monkeypatch.setattr(cifar_tfds, "_fetch", fetch_after_the_other)
    assert same(load("cifar10", tmp_path), images)
    assert files_in(tmp_path / "cifar10")[0] == "3.0.2"


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


def test_data_dir_is_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="the data folder gs:/bucket is an address, not a folder of this machine"):
        load("cifar10", "gs://bucket")
    assert list(tmp_path.iterdir()) == []


def test_data_dir_is_read_only_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir(mode=0o555)
    with pytest.raises(DataError, match=f"not prepared in {path}, and {path} is not writable: name another folder"):
        load("cifar10", path)
