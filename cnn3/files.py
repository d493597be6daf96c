"""Durable files: atomic writes, and checksums that show damage."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

RUN_ELSEWHERE = "name another folder with --output or --runs"


class OutputError(Exception):
    """An output folder or file that cannot be used; the message names it and the remedy."""


class DamagedError(Exception):
    """A file that is not as it was written; the message names it and what is wrong."""


def make_folder(folder: Path, option: str = "--output") -> Path:
    """Create `folder` if it does not exist, and check that files can be written to it.

    Args:
        folder: the folder.
        option: the command-line option that names another folder, for the error message.

    Raises:
        OutputError: it cannot be created or written to, or is an address such as gs://bucket.
    """
    if is_address(folder):
        raise OutputError(f"{folder} is an address, not a folder of this machine; name a folder with {option}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}; name another folder with {option}") from None
    return folder


def is_address(path: Path) -> bool:
    """Whether a path is or contains an address such as gs://bucket, which libraries read as remote storage."""
    return any(re.fullmatch(r"[A-Za-z][\w+.-]+:", part) for part in path.parts)  # one letter is a Windows drive


def write(path: Path, content: bytes | str) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part of it.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # unique, even among writers on different machines
    try:
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # if all went well, it has been renamed
            temporary.unlink()


def stale_temp_files(folder: Path) -> list[Path]:
    """Return the temporary files that interrupted writes have left in a folder."""
    return [file for file in folder.glob(".*.tmp") if re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", file.name)]


def read(path: Path) -> bytes:
    """Return the content of a file that this process has written.

    Raises:
        OutputError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}, which was just written: {error.strerror}; start again") from None


def read_shared(folder: Path, name: str) -> bytes:
    """Return the content of a file that another process, even another user's, may have written.

    Raises:
        DamagedError: the file is missing.
        OutputError: it cannot be read, so it may or may not be damaged.
    """
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{name} is missing") from None
    except OSError as error:
        raise _access_error("read", folder / name, error) from None


def list_names(folder: Path) -> list[str]:
    """Return the sorted names in a folder, none if it is missing.

    Raises:
        OutputError: the folder cannot be read.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _access_error("read", folder, error) from None


def remove(path: Path) -> None:
    """Remove a file, or a folder and everything in it; do nothing if it is missing.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _access_error("remove", path, error) from None


def _access_error(action: str, path: Path, error: OSError) -> OutputError:
    ask = "ask its owner for permission, or " if isinstance(error, PermissionError) else ""
    return OutputError(f"cannot {action} {path}: {error.strerror}; {ask}{RUN_ELSEWHERE}")


def checksums(folder: Path, names: Iterable[str]) -> str:
    """Return what `sha256sum NAMES` prints when run in the folder.

    Raises:
        OutputError: a file cannot be read.
    """
    return "".join(f"{digest(read(folder / name))}  {name}\n" for name in sorted(names))


def read_checksums(path: Path) -> dict[str, str]:
    """Return the SHA-256 by file name, as a file of checksums lists them.

    Raises:
        DamagedError: the file is missing or malformed.
        OutputError: it cannot be read.
    """
    *lines, incomplete = read_shared(path.parent, path.name).decode(errors="replace").split("\n")
    matches = [re.fullmatch(r"([0-9a-f]{64})  ([\w./-]+)", line, re.ASCII) for line in lines]
    if incomplete or not lines or not all(matches):
        raise DamagedError(f"{path.name} is malformed")
    return {match[2]: match[1] for match in matches if match}


def verify(folder: Path, sums: Path) -> set[str]:
    """Check a folder's files against a file of checksums, and return their names.

    Raises:
        DamagedError: a file is missing or has another checksum, or the checksums are damaged.
        OutputError: a file cannot be read.
    """
    expected = read_checksums(sums)
    for name, checksum in expected.items():
        if digest(read_shared(folder, name)) != checksum:
            raise DamagedError(f"{name} is damaged: its checksum is not that in {sums.name}")
    return set(expected)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
