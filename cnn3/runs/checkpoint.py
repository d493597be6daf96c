"""A run's folder: all that it needs to go on after an interruption, and all that it leaves behind.

config.json            what was run
versions.json          with which code, data, versions and settings (`cnn3.runs.record`)
history.jsonl          one line an epoch
initial.safetensors    weights before training,
epoch20.safetensors    after the epochs whose weights are to be kept,
best.safetensors       and after the best one
summary.json           the outcome
SHA256SUMS             the checksums of all these, there only once the run has ended

and until then

checkpoints/20/            the training state after an epoch, by Orbax, with the history and the best weights of then
checkpoints/20.sha256sums  the checksums of that, and of what else the run has left by then
"""

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from cnn3 import files
from cnn3.config import RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.claim import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    HISTORY,
    INITIAL,
    SUFFIX,
    SUMMARY,
    SUMS,
    VERSIONS,
    WEIGHTS,
    check_owner,
    read_record,
    write_record,
)
from cnn3.runs.clearing import clear
from cnn3.runs.record import DATA, MACHINE, Record, code_mismatch, data_mismatch, settings_mismatch
from cnn3.training.state import TrainState

KEPT = 2  # checkpoints; one more than needed, in case the newest is damaged
SPARE = 2**20  # bytes that a checkpoint takes beside its arrays, at most

log = logging.getLogger(__name__)

History = list[dict[str, Any]]


class Saved(NamedTuple):
    """Where an interrupted run stands."""

    state: TrainState
    history: History  # of the epochs that the state has behind it


class Outcome(NamedTuple):
    """What a run that has ended has left, beside its weights."""

    history: History
    summary: dict[str, Any]
    record: Record


class RunFolder:
    """An opened run folder; made by `open_run`."""

    def __init__(self, path: Path, record: Record, checkpointer: Any) -> None:
        """Take the folder, the record of what is trained now, and what saves and restores the training state."""
        self.path = path
        self._record = record
        self._checkpointer = checkpointer

    def restore(self, like: TrainState) -> Saved | None:
        """Return where the run stands after the newest checkpoint that is whole, or None if it begins.

        The rest of the folder is made what it was at that checkpoint. `like` has the state's shapes and types.

        Raises:
            OutputError: the run was begun with another record, or the folder cannot be read or written.
        """
        for file in files.stale_temp_files(self.path):
            files.remove(file)
        epoch, damage = self._newest()
        if epoch is None:
            if any((self.path / name).exists() for name in (CHECKPOINTS, SUMMARY)):
                log.warning("%s: no checkpoint is whole (%s); this run alone is trained anew", self.path, damage)
            self._begin()
            return None
        self._check_record()
        if damage is not None:
            log.warning("%s: %s; this run goes on from the checkpoint of epoch %d", self.path, damage, epoch + 1)
        self._tidy(epoch)
        step = self._step(epoch)
        for name in (HISTORY, BEST + WEIGHTS):
            files.write(self.path / name, (step / name).read_bytes())
        return Saved(self._load(step, like), read_history(self.path))

    def write_history(self, history: History) -> None:
        """Write the history for whoever looks at a run in progress.

        Raises:
            OutputError: the folder cannot be written.
        """
        files.write(self.path / HISTORY, _lines(history))

    def save(self, state: TrainState, history: History, kept: Iterable[str]) -> None:
        """Keep the history, and the state after it.

        Args:
            state: after the last epoch of the history.
            history: of all epochs, of which one at least has ended.
            kept: the names of the snapshots in the folder.

        Raises:
            OutputError: the folder cannot be written.
        """
        epoch = history[-1]["epoch"]
        step = self._step(epoch)
        files.remove(step)  # what a save left that was cut off
        self._save(step, state)
        files.write(step / HISTORY, _lines(history))
        files.write(step / (BEST + WEIGHTS), files.read(self.path / (BEST + WEIGHTS)))
        names = [str(file.relative_to(self.path)) for file in step.rglob("*") if file.is_file()]
        names += [CONFIG, VERSIONS, *(name + WEIGHTS for name in (INITIAL, *kept))]
        files.write(self._sums(epoch), files.checksums(self.path, names))
        for older in _epochs(self.path)[:-KEPT]:
            self._remove(older)

    def finish(self, summary: Mapping[str, Any], weights: Iterable[str]) -> None:
        """Write the outcome and the checksums of all that is left, and let go of the checkpoints.

        Raises:
            OutputError: the folder cannot be written.
        """
        files.write(self.path / SUMMARY, json.dumps(summary, indent=2))
        files.write(self.path / SUMS, files.checksums(self.path, leaves(weights)))
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def _newest(self) -> tuple[int | None, DamagedError | None]:
        """Return the epoch of the newest whole checkpoint, and what is wrong with the newest if that is another."""
        damages: list[DamagedError] = []
        for epoch in reversed(_epochs(self.path)):
            try:
                files.verify(self.path, self._sums(epoch))
            except DamagedError as damage:
                damages.append(damage)
            else:
                return epoch, damages[0] if damages else None
        return None, damages[0] if damages else DamagedError("there are no checksums")

    def _tidy(self, newest: int) -> None:
        """Leave the checkpoints up to one, and make sure before an epoch is trained that others can be written."""
        kept = {str(epoch) for epoch in _epochs(self.path) if epoch <= newest}
        folder = files.make_folder(self.path / CHECKPOINTS, "--output or --runs")
        surplus = (name for name in files.list_names(folder) if name.partition(".")[0] not in kept)
        for name in sorted(surplus, key=lambda name: not name.endswith(SUFFIX)):  # checksums first, as in `_remove`
            files.remove(folder / name)

    def _begin(self) -> None:
        """Leave nothing of a run that was begun but its configuration."""
        clear(self.path, but={CONFIG})
        write_record(self.path, self._record)
        files.write(self.path / HISTORY, "")

    def _check_record(self) -> None:
        """Refuse to go on with what would give other numbers; say so if only the machine is another."""
        saved, here = read_record(self.path), self._record
        reasons = code_mismatch(saved, here), data_mismatch(saved, here[DATA]), settings_mismatch(saved, here)
        if any(reasons):
            remedy = f"delete {self.path} to train the run again, or name another --output"
            raise OutputError(f"{self.path} was begun with {' and '.join(filter(None, reasons))}: {remedy}")
        if (machine := settings_mismatch(saved, here, MACHINE)) is not None:
            log.warning("%s was begun with %s: its last bits may be others", self.path, machine)

    def _step(self, epoch: int) -> Path:
        return self.path / CHECKPOINTS / str(epoch)

    def _sums(self, epoch: int) -> Path:
        return self.path / CHECKPOINTS / f"{epoch}{SUFFIX}"

    def _remove(self, epoch: int) -> None:
        self._sums(epoch).unlink(missing_ok=True)
        shutil.rmtree(self._step(epoch), ignore_errors=True)

    def _load(self, step: Path, like: TrainState) -> TrainState:
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        return self._checkpointer.restore((step / "state").absolute(), args=ocp.args.StandardRestore(shapes))

    def _save(self, step: Path, state: TrainState) -> None:
        import orbax.checkpoint as ocp

        try:
            step.mkdir(parents=True)
            _make_sure_of_room(step, sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + SPARE)
            self._checkpointer.save((step / "state").absolute(), args=ocp.args.StandardSave(state))
        except (OSError, ValueError) as error:  # tensorstore's failed writes are a ValueError
            raise OutputError(f"cannot write {step}: {_reason(error)}") from None


def _make_sure_of_room(folder: Path, size: int) -> None:
    """Raise an OSError if so many bytes cannot be written: tensorstore would say it in many lines."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(size))


def _reason(error: OSError | ValueError) -> str:
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return os.strerror(int(code[1])) if code else str(error)


@contextmanager
def open_run(path: Path, record: Record) -> Iterator[RunFolder]:
    """Open the checkpoints in a run's folder, which has been claimed with a record."""
    import orbax.checkpoint as ocp

    def critical(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL

    orbax_log = logging.getLogger("absl")
    orbax_log.addFilter(critical)  # every save is reported, and a failed one in many lines
    checkpointer = ocp.Checkpointer(ocp.StandardCheckpointHandler())
    try:
        yield RunFolder(path, record, checkpointer)
    finally:
        checkpointer.close()
        orbax_log.removeFilter(critical)


def read_outcome(path: Path, config: RunConfig) -> Outcome | None:
    """Return what the run in a folder has left, all of it verified, or None if it has not ended.

    The checksums say what the run has left. A copy whose checksums name no weights, for want of room, is whole too.

    Args:
        path: the folder.
        config: of the run.

    Raises:
        DamagedError: a file is not as the run left it.
        OutputError: the folder holds another run, or a file cannot be read.
    """
    if SUMS not in files.list_names(path):
        return None
    check_owner(path, config)
    if missing := leaves([]) - files.verify(path, path / SUMS):
        raise DamagedError(f"{SUMS} lacks {min(missing)}")
    return Outcome(read_history(path), json.loads((path / SUMMARY).read_text()), read_record(path))


def leaves(weights: Iterable[str]) -> set[str]:
    """Return the names of the files that a run with these weights leaves."""
    return {CONFIG, VERSIONS, HISTORY, SUMMARY, *(name + WEIGHTS for name in weights)}


def read_history(path: Path) -> History:
    """Return the records of a run folder's epochs."""
    return [json.loads(line) for line in (path / HISTORY).read_text().splitlines()]


def _lines(history: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in history)


def _epochs(path: Path) -> list[int]:
    """Return the epochs, in rising order, whose checkpoints have their checksums."""
    stems = (name.removesuffix(SUFFIX) for name in files.list_names(path / CHECKPOINTS) if name.endswith(SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isdecimal())
