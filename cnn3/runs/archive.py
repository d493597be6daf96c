"""The files of a run in memory, on their way from one machine to another."""

from collections.abc import Mapping
from pathlib import Path

from cnn3 import files
from cnn3.runs.layout import (
    BEST,
    CHECKPOINTS,
    HISTORY,
    SUMS,
    WEIGHTS,
    checkpoint_epochs,
    checkpoint_folder,
    checkpoint_sums,
    remove_checkpoint,
)
from cnn3.runs.locks import HOLDER, LOCK

Archive = Mapping[str, bytes]  # the content by the path in the run's folder, in the order of writing


def pack_all(path: Path) -> Archive:
    """Return all files of a run's folder but its lock, none if there is no folder.

    Raises:
        OutputError: a file cannot be read.
    """
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    return {name: files.read(path / name) for name in names if name not in (LOCK, HOLDER)}


def pack_finished(path: Path) -> Archive:
    """Return the files of a finished run.

    Raises:
        OutputError: a file cannot be read.
        DamagedError: the checksums are missing or damaged.
    """
    return _pack(path, path / SUMS)


def pack_checkpoint(path: Path, epoch: int) -> Archive:
    """Return the checkpoint after the epoch with this index, and what it needs of the rest of the folder.

    Raises:
        OutputError: a file cannot be read.
        DamagedError: the checksums are missing or damaged.
    """
    return _pack(path, checkpoint_sums(path, epoch))


def unpack(archive: Archive, path: Path) -> None:
    """Write files into a run's folder. If this is interrupted, the folder is still as good as before.

    Args:
        archive: of a finished run, whose checkpoints are then removed; of a checkpoint, which then replaces all newer
            ones and all but one of the older; or of a whole folder.
        path: the folder, which is created if it does not exist.

    Raises:
        OutputError: the folder cannot be written.
    """
    files.make_folder(path, "--output or --runs")
    for name, content in archive.items():
        file = path / name
        files.make_folder(file.parent, "--output or --runs")
        files.write(file, content)
    if SUMS in archive:
        files.remove(path / CHECKPOINTS)
        return
    arrived = [epoch for epoch in checkpoint_epochs(path) if checkpoint_sums(Path(), epoch).as_posix() in archive]
    if not arrived:
        return
    newest = max(arrived)
    older = [epoch for epoch in checkpoint_epochs(path) if epoch < newest]
    for epoch in checkpoint_epochs(path):
        if epoch not in (*older[-1:], newest):
            remove_checkpoint(path, epoch)
    for name in (HISTORY, BEST + WEIGHTS):  # for those who look at a run in progress
        saved = (checkpoint_folder(Path(), newest) / name).as_posix()
        if saved in archive:  # a damaged checkpoint may lack it
            files.write(path / name, archive[saved])


def _pack(path: Path, sums: Path) -> Archive:
    """Return the files that a file of checksums lists, and that file as the last: it makes the others count."""
    names = [*sorted(files.read_checksums(sums)), sums.relative_to(path).as_posix()]
    return {name: files.read(path / name) for name in names}
