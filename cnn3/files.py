"""Durable writes: a file is there whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class OutputError(Exception):
    """An output folder or file that cannot be used; the message names it and the remedy."""


def make_folder(folder: Path) -> Path:
    """Make `folder` if it is not there, and make sure that files can be written to it.

    Raises:
        OutputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}; name another folder with --output") from None
    return folder


def write(path: Path, content: bytes | str) -> None:
    """Write a file so that whoever reads it sees the old content or the new, never a part.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # it is not there if all went well
            temporary.unlink()


def append(path: Path, line: str) -> None:
    """Add one line to a file and see it to the disk.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with open(path, "ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
