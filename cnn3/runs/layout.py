"""Room for a run: what its folder has left is moved aside or removed, and nothing else."""

import os
import re
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from cnn3 import files
from cnn3.files import RUN_ELSEWHERE, OutputError
from cnn3.runs.locks import HOLDER, LOCK
from cnn3.runs.metadata import BEST, CHECKPOINTS, CONFIG, HISTORY, INITIAL, SUMMARY, SUMS, VERSIONS, WEIGHTS


def set_aside(path: Path, label: str) -> Path:
    """Move what a run has left, but for the lock, into a new folder beside its own, and return that folder.

    Raises:
        OutputError: it cannot be moved.
    """
    first = path.with_name(f"{path.name}.{label}")
    target = next(
        of for n in count(1) if not (of := first if n == 1 else first.with_name(f"{first.name}-{n}")).exists()
    )
    copy = path.with_name(f".{target.name}.copy")
    try:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns(LOCK, HOLDER))
        os.rename(copy, target)
    except OSError as error:
        reason = error.strerror or error.args[0][0][2]  # copytree collects (from, to, why)
        raise OutputError(f"cannot move {path} aside: {reason}; {RUN_ELSEWHERE}") from None
    clear(path)
    return target


def clear(path: Path, but: Iterable[str] = ()) -> None:
    """Remove what a run has left in its folder, its checksums first, and nothing else.

    Raises:
        OutputError: it cannot be removed.
    """
    for name in (SUMS, SUMMARY, HISTORY, VERSIONS, CONFIG):
        if name not in but:
            files.remove(path / name)
    weights = (file for file in path.glob(f"*{WEIGHTS}") if re.fullmatch(rf"{INITIAL}|{BEST}|epoch\d+", file.stem))
    for file in (*weights, *files.stale_temp_files(path), path / CHECKPOINTS):
        files.remove(file)
