"""Locks on file systems that grant them to several processes, and on file systems without locks."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cnn3 import OutputError
from cnn3.runs import locks
from cnn3.runs.locks import HOLDER, LOCK, BusyError, run_lock
from tests.helpers.processes import ROOT

HOLD_LOCK = """
import errno, fcntl, os, sys
from pathlib import Path
from cnn3.runs import locks
def flock(file, operation):
    if sys.argv[2] == "missing":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = flock
locks.HEARTBEAT_SECONDS = 0.1
with locks.run_lock(Path(sys.argv[1]), wait=False):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "DEAD_AFTER_SECONDS", 1.0)


@contextmanager
def another_process(folder: Path, flock: str) -> Iterator[subprocess.Popen]:
    """Let another process hold a folder's lock on a file system whose locks are always "granted" or "missing"."""
    command = [sys.executable, "-c", HOLD_LOCK, str(folder), flock]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        try:
            yield process
        finally:
            process.kill()


def grant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)


def test_a_holder_is_reported_until_it_is_killed_even_if_locks_are_not_enforced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(monkeypatch)
    with another_process(tmp_path, "granted") as process:
        for wait in (False, True):
            with pytest.raises(OutputError) as error, run_lock(tmp_path, wait):
                pass
            assert str(error.value) == (
                f"{tmp_path} is being trained by process {process.pid} on {socket.gethostname()}, and its file system "
                f"does not enforce locks: name another folder with --output or --runs, or delete {tmp_path / HOLDER} "
                "once that process has ended"
            )
        process.kill()
        time.sleep(0.2)  # a zombie: its parent has not yet waited for it
        with run_lock(tmp_path, wait=False):
            assert (tmp_path / HOLDER).read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"
    assert not (tmp_path / HOLDER).exists()


@pytest.mark.parametrize("name", ["process 1 on elsewhere", "process {} on {}", ""])
def test_a_remote_process_is_alive_while_it_touches_its_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may even name this process: in containers, process numbers repeat."""
    name = name.format(os.getpid(), socket.gethostname())
    (tmp_path / HOLDER).write_text(name)
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.1)
    refused = pytest.raises(OutputError, match=f"is being trained by {name or 'another process'}, and")
    with locks._heartbeat(tmp_path / HOLDER), refused, run_lock(tmp_path, wait=False):
        pass
    (tmp_path / HOLDER).write_text(name)  # left by a process that was killed
    with run_lock(tmp_path, wait=False):
        pass


@pytest.mark.parametrize("moment", ["_is_alive", "time.sleep"])  # before or after the file of the killed one is removed
def test_only_one_of_two_processes_takes_over_from_a_killed_one(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may find that it has ended, where locks are not enforced; the other writes its name at the worst moment."""
    grant(monkeypatch)
    path = tmp_path / HOLDER
    path.write_text("process 1 on elsewhere")

    def let_the_other_win(*_: object) -> bool:
        path.unlink()
        path.write_text("process 2 on elsewhere")
        return False

    monkeypatch.setattr(locks, "_is_alive", lambda *_: False)
    monkeypatch.setattr(f"cnn3.runs.locks.{moment}", let_the_other_win)
    with pytest.raises(OutputError, match="is being trained by process 2 on elsewhere"), run_lock(tmp_path, wait=False):
        pass
    assert path.read_text() == "process 2 on elsewhere"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_that_refuses_locks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OutputError) as error, run_lock(tmp_path, wait=False):
        pass
    reason = f"cannot lock {tmp_path}: {os.strerror(number)}"
    assert str(error.value) == f"{reason}; name another folder with --output or --runs"


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    refused = pytest.raises(BusyError)
    with another_process(tmp_path, "missing") as process, refused as error, run_lock(tmp_path, wait=False):
        pass
    assert str(error.value) == (
        f"{tmp_path} is being trained by process {process.pid} on {socket.gethostname()} "
        f"(if that has ended, delete {tmp_path / LOCK})"
    )
