"""The lock of a run's folder.

The system releases it when the process ends, however that happens. Some shared file systems grant one lock to several
processes, so the process that holds it also names itself in a file of the folder and touches that file as a heartbeat.
"""

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from warnings import catch_warnings, filterwarnings

import psutil
from filelock import FileLock, Timeout

from cnn3.files import RUN_ELSEWHERE, OutputError
from cnn3.runs.periodic import call_periodically

LOCK, HOLDER = ".lock", ".process"
POLL_SECONDS = 0.2  # while waiting for a lock or a heartbeat
HEARTBEAT_SECONDS, DEAD_AFTER_SECONDS = 2.0, 7.0  # without a heartbeat for so long, a process is presumed dead
SETTLE_SECONDS = 0.5  # between writing the file of a process that has ended anew and making sure that it stays

log = logging.getLogger(__name__)


class BusyError(Exception):
    """Another process works in a folder; the message says which."""


@contextmanager
def run_lock(folder: Path, wait: bool) -> Iterator[None]:
    """Keep other processes out of a folder.

    Args:
        folder: an existing folder.
        wait: whether to wait, with a warning, while another process holds the lock.

    Raises:
        BusyError: another process holds the lock, and `wait` is false.
        OutputError: the folder cannot be written, or another process works in it although this one got the lock.
    """
    lock = FileLock(folder / LOCK)
    try:
        with catch_warnings():
            filterwarnings("ignore", "flock not supported")  # then filelock writes a file, which BusyError names
            _acquire(lock, folder, wait)
    except OSError as error:
        raise OutputError(f"cannot lock {folder}: {error.strerror}; {RUN_ELSEWHERE}") from None
    except NotImplementedError:  # older versions of filelock
        raise OutputError(f"{folder} is on a file system without locks; {RUN_ELSEWHERE}") from None
    try:
        _write_holder(folder)
        with _heartbeat(folder / HOLDER):
            yield
    finally:
        lock.release()


def _acquire(lock: FileLock, folder: Path, wait: bool) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy = f"{folder} is being trained by {_read_holder(folder / HOLDER)}"
        if (folder / LOCK).stat().st_size:  # filelock's own lock, where the system has none, outlives the process
            busy += f" (if that has ended, delete {folder / LOCK})"
        if not wait:
            raise BusyError(busy) from None
        log.warning("%s: waiting for it", busy)
        lock.acquire(poll_interval=POLL_SECONDS)


def _write_holder(folder: Path) -> None:
    """Name this process in a locked folder.

    Raises:
        OutputError: the folder cannot be written, or names another process that is alive.
    """
    path, name = folder / HOLDER, f"process {os.getpid()} on {socket.gethostname()}"
    holder = _read_holder(path)
    try:
        left_behind = path.exists()
        if left_behind:
            if _is_alive(path, holder) or _read_holder(path) != holder:
                raise FileExistsError
            path.unlink(missing_ok=True)
        with open(path, "x") as file:
            file.write(f"{name}\n")
        if left_behind:  # another process may have removed the same file, and then this one's
            time.sleep(SETTLE_SECONDS)
            if _read_holder(path) != name:
                raise FileExistsError
    except FileExistsError:
        raise OutputError(
            f"{folder} is being trained by {_read_holder(path)}, and its file system does not enforce locks: "
            f"{RUN_ELSEWHERE}, or delete {path} once that process has ended"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; {RUN_ELSEWHERE}") from None


@contextmanager
def _heartbeat(path: Path) -> Iterator[None]:
    """Touch a file regularly, and remove it at the end."""

    def touch() -> float:
        with suppress(OSError):
            os.utime(path)
        return HEARTBEAT_SECONDS

    try:
        with call_periodically(touch, HEARTBEAT_SECONDS):
            yield
    finally:
        with suppress(OSError):
            path.unlink()


def _is_alive(path: Path, holder: str) -> bool:
    """Whether the process named in a file still touches it; a local process that has ended is recognised at once."""
    local = re.fullmatch(rf"process (\d+) on {re.escape(socket.gethostname())}", holder)
    if local and _has_ended(int(local[1])):
        return False
    deadline = time.monotonic() + DEAD_AFTER_SECONDS
    try:
        last_touched = path.stat().st_mtime_ns
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            if path.stat().st_mtime_ns != last_touched:
                return True
    except FileNotFoundError:
        pass  # it has just ended
    return False


def _has_ended(pid: int) -> bool:
    try:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:  # another user's process, which this one may not inspect
        return False


def _read_holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:  # its process has just started, is about to end, or does not let others read it
        return "another process"
