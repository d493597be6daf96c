"""Durable files: written whole or not at all, and known by their checksums."""

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
    """Make `folder` if it is not there, and make sure that files can be written to it.

    Args:
        folder: to make.
        option: of the command line that names another.

    Raises:
        OutputError: it cannot be made or written, or is no folder but an address such as gs://bucket.
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
    """Whether a path is, or has in it, an address such as gs://bucket, which libraries take for a place elsewhere."""
    return any(re.fullmatch(r"[A-Za-z][\w+.-]+:", part) for part in path.parts)  # a drive of Windows is one letter


def write(path: Path, content: bytes | str) -> None:
    """Write a file so that whoever reads it sees the old content or the new, never a part.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # no two writers share it, be they on two machines
    try:
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):  # it is not there if all went well
            temporary.unlink()


def stale_temp_files(folder: Path) -> list[Path]:
    """Return what is left in a folder of writes that were cut off."""
    return [file for file in folder.glob(".*.tmp") if re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", file.name)]


def read(path: Path) -> bytes:
    """Return what a file holds that this process has written.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}, which was just written: {error.strerror}; start again") from None


def read_shared(folder: Path, name: str) -> bytes:
    """Return what a file in a folder holds, which another process, and another user, may have written.

    Raises:
        DamagedError: it is missing.
        OutputError: it cannot be read, so that nobody knows whether it is damaged.
    """
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{name} is missing") from None
    except OSError as error:
        raise _refused("read", folder / name, error) from None


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder, none if it is missing.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _refused("read", folder, error) from None


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; it may be missing.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _refused("remove", path, error) from None


def _refused(what: str, path: Path, error: OSError) -> OutputError:
    ask = "ask its owner for permission, or " if isinstance(error, PermissionError) else ""
    return OutputError(f"cannot {what} {path}: {error.strerror}; {ask}{RUN_ELSEWHERE}")


def checksums(folder: Path, names: Iterable[str]) -> str:
    """Return what `sha256sum` prints, in the folder, of files in it.

    Raises:
        OutputError: one cannot be read.
    """
    return "".join(f"{digest(read(folder / name))}  {name}\n" for name in sorted(names))


def read_checksums(path: Path) -> dict[str, str]:
    """Return the SHA-256 of each name in a file of checksums.

    Raises:
        DamagedError: it is missing or malformed.
        OutputError: it cannot be read.
    """
    *lines, rest = read_shared(path.parent, path.name).decode(errors="replace").split("\n")
    matches = [re.fullmatch(r"([0-9a-f]{64})  ([\w./-]+)", line, re.ASCII) for line in lines]
    if rest or not lines or not all(matches):
        raise DamagedError(f"{path.name} is malformed")
    return {match[2]: match[1] for match in matches if match}


def verify(folder: Path, sums: Path) -> set[str]:
    """Return the names in a file of checksums, once the folder's files are known to have them.

    Raises:
        DamagedError: a file is missing or has another checksum, or the checksums are damaged.
        OutputError: a file cannot be read.
    """
    expected = read_checksums(sums)
    for name, wanted in expected.items():
        if digest(read_shared(folder, name)) != wanted:
            raise DamagedError(f"{name} is damaged: its checksum is not that in {sums.name}")
    return set(expected)


def digest(content: bytes) -> str:
    """Return the SHA-256 of what a file holds."""
    return hashlib.sha256(content).hexdigest()
