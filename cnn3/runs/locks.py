"""A folder's lock.

The system lets go of it when the process ends, however it does. Some file systems that machines share grant a lock to
all who ask: therefore whoever has it names itself in a file of the folder, and touches that file while it lives.
"""

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from cnn3.files import RUN_ELSEWHERE, OutputError
from cnn3.runs.periodic import repeating

LOCK, HOLDER = ".lock", ".process"
POLL = 0.2  # seconds between looks at a lock that is waited for
BEAT, SILENCE = 2.0, 7.0  # seconds between signs of life, and without one after which a process is taken for dead

log = logging.getLogger(__name__)


class BusyError(Exception):
    """A folder in which another process works; the message says which."""


@contextmanager
def run_lock(folder: Path, wait: bool) -> Iterator[None]:
    """Keep other processes out of a folder.

    Args:
        folder: which is there.
        wait: whether to wait while another process has it, saying so.

    Raises:
        BusyError: another process has it and is not waited for.
        OutputError: the folder cannot be written, or another process works there that no lock keeps out.
    """
    lock = FileLock(folder / LOCK)
    try:
        _acquire(lock, folder, wait)
    except OSError as error:
        raise OutputError(f"cannot lock {folder}: {error.strerror}; {RUN_ELSEWHERE}") from None
    except NotImplementedError:  # of filelock's older versions
        raise OutputError(f"{folder} is on a file system without locks; {RUN_ELSEWHERE}") from None
    try:
        _sign(folder)
        with _signs_of_life(folder / HOLDER):
            yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, wait: bool) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy = f"{folder} is being trained by {_read_holder(folder / HOLDER)}"
        if (folder / LOCK).stat().st_size:  # filelock's own lock, where there is no other, outlives the process
            busy += f" (if that has ended, delete {folder / LOCK})"
        if not wait:
            raise BusyError(busy) from None
        log.warning("%s: waiting for it", busy)
        lock.acquire(poll_interval=POLL)


def _sign(folder: Path) -> None:
    """Name this process in a locked folder.

    Raises:
        OutputError: the folder cannot be written, or names another process that lives.
    """
    path = folder / HOLDER
    other = _read_holder(path)
    try:
        if path.exists():
            if _lives(path, other):
                raise FileExistsError
            path.unlink(missing_ok=True)
        with open(path, "x") as file:
            file.write(f"{_name()}\n")
    except FileExistsError:
        raise OutputError(
            f"{folder} is being trained by {other}, and its file system keeps nobody out: "
            f"{RUN_ELSEWHERE}, or delete {path} once that process has ended"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; {RUN_ELSEWHERE}") from None


@contextmanager
def _signs_of_life(path: Path) -> Iterator[None]:
    """Touch a file again and again, and remove it at the end."""

    def touch() -> float:
        with suppress(OSError):
            os.utime(path)
        return BEAT

    try:
        with repeating(touch, BEAT):
            yield
    finally:
        with suppress(OSError):
            path.unlink()


def _lives(path: Path, other: str) -> bool:
    """Whether the process that is named in a file touches it; one of this machine that has ended is not waited for."""
    local = re.fullmatch(rf"process (\d+) on {re.escape(socket.gethostname())}", other)
    if local and _has_ended(int(local[1])):
        return False
    deadline = time.monotonic() + SILENCE
    try:
        last = path.stat().st_mtime_ns
        while time.monotonic() < deadline:
            time.sleep(POLL)
            if path.stat().st_mtime_ns != last:
                return True
    except FileNotFoundError:
        pass  # it has just ended
    return False


def _has_ended(process: int) -> bool:
    try:
        return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:  # it is not this user's to look at
        return False


def _name() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _read_holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:  # it has just begun, is about to end, or does not let others read
        return "another process"
