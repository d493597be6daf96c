"""The layout of a run's folder: all that the run needs to resume after an interruption, and all that it leaves.

config.json            what was run
versions.json          with which code, data, versions and settings (`cnn3.runs.versions`)
history.jsonl          one line for each epoch
initial.safetensors    weights before training,
epoch20.safetensors    after the epochs in `config.snapshots`,
best.safetensors       and after the best epoch
summary.json           the results
SHA256SUMS             the checksums of all these, written last: only a finished run has them

and until then

checkpoints/20/            the training state after an epoch, by Orbax, with the history and the best weights so far
checkpoints/20.sha256sums  the checksums of these, and of what else the run has left so far
"""

import os
import re
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from cnn3 import files
from cnn3.files import RUN_ELSEWHERE, OutputError
from cnn3.runs.locks import HOLDER, LOCK

CONFIG, VERSIONS, SUMS = "config.json", "versions.json", "SHA256SUMS"
CHECKPOINTS, SUMS_SUFFIX = "checkpoints", ".sha256sums"
HISTORY, SUMMARY, WEIGHTS = "history.jsonl", "summary.json", ".safetensors"
INITIAL, BEST = "initial", "best"


def snapshot_name(epoch: int) -> str:
    """Return the name of the weights after the epoch with this index."""
    return f"epoch{epoch}"


def checkpoint_folder(path: Path, epoch: int) -> Path:
    """Return the folder of the checkpoint after the epoch with this index."""
    return path / CHECKPOINTS / str(epoch)


def checkpoint_sums(path: Path, epoch: int) -> Path:
    """Return the file of checksums of the checkpoint after the epoch with this index."""
    return path / CHECKPOINTS / f"{epoch}{SUMS_SUFFIX}"


def checkpoint_epochs(path: Path) -> list[int]:
    """Return the epochs, in ascending order, whose checkpoints have their checksums.

    Raises:
        OutputError: the folder cannot be read.
    """
    stems = (
        name.removesuffix(SUMS_SUFFIX) for name in files.list_names(path / CHECKPOINTS) if name.endswith(SUMS_SUFFIX)
    )
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def remove_checkpoint(path: Path, epoch: int) -> None:
    """Remove a checkpoint, its checksums first."""
    checkpoint_sums(path, epoch).unlink(missing_ok=True)
    shutil.rmtree(checkpoint_folder(path, epoch), ignore_errors=True)


def output_files(weights: Iterable[str]) -> set[str]:
    """Return the names of the files that a finished run with these weights leaves, except its checksums."""
    return {CONFIG, VERSIONS, HISTORY, SUMMARY, *(name + WEIGHTS for name in weights)}


def clear(path: Path, keep: Iterable[str] = ()) -> None:
    """Remove a run's files from its folder, the checksums first, and nothing else.

    Args:
        path: the folder.
        keep: names of files that stay.

    Raises:
        OutputError: a file cannot be removed.
    """
    for name in (SUMS, SUMMARY, HISTORY, VERSIONS, CONFIG):
        if name not in keep:
            files.remove(path / name)
    weights = (file for file in path.glob(f"*{WEIGHTS}") if re.fullmatch(rf"{INITIAL}|{BEST}|epoch\d+", file.stem))
    for file in (*weights, *files.stale_temp_files(path), path / CHECKPOINTS):
        files.remove(file)


def set_aside(path: Path, label: str) -> Path:
    """Move all but the lock from a run's folder into a new folder next to it, and return the new folder.

    Args:
        path: the run's folder.
        label: ends the name of the new folder; a number follows if that name is taken.

    Raises:
        OutputError: it cannot be moved.
    """
    first = path.with_name(f"{path.name}.{label}")
    candidates = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
    target = next(candidate for candidate in candidates if not candidate.exists())
    copy = path.with_name(f".{target.name}.copy")
    try:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns(LOCK, HOLDER))
        os.rename(copy, target)
    except OSError as error:
        reason = error.strerror or error.args[0][0][2]  # copytree collects (source, destination, reason)
        raise OutputError(f"cannot move {path} aside: {reason}; {RUN_ELSEWHERE}") from None
    clear(path)
    return target
