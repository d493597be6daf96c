"""A run's folder while it trains: its history and its checkpoints (`cnn3.runs.layout` lists the files)."""

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from cnn3 import files
from cnn3.files import DamagedError, OutputError
from cnn3.runs.layout import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    HISTORY,
    INITIAL,
    SUMMARY,
    SUMS,
    SUMS_SUFFIX,
    VERSIONS,
    WEIGHTS,
    checkpoint_epochs,
    checkpoint_folder,
    checkpoint_sums,
    clear,
    output_files,
    remove_checkpoint,
)
from cnn3.runs.metadata import read_versions, write_versions
from cnn3.runs.result import History
from cnn3.runs.versions import (
    DATA,
    INIT,
    MACHINE,
    Versions,
    code_mismatch,
    data_mismatch,
    init_mismatch,
    settings_mismatch,
)
from cnn3.training.state import TrainState

MAX_TO_KEEP = 2  # checkpoints: one more than needed, in case the newest is damaged
OVERHEAD_BYTES = 2**20  # that a checkpoint takes at most in addition to its arrays

log = logging.getLogger(__name__)


class Checkpoint(NamedTuple):
    """The point from which an interrupted run resumes."""

    state: TrainState
    history: History  # of the epochs before the state


class RunFolder:
    """A run's open folder; made by `open_run`."""

    def __init__(self, path: Path, versions: Versions, checkpointer: Any) -> None:
        """Take the folder, the versions of the run in it, and what saves and restores the training state."""
        self.path = path
        self._versions = versions
        self._checkpointer = checkpointer

    def restore(self, template: TrainState) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None if there is none and the run has to start from the beginning.

        The rest of the folder is restored to what it was at that checkpoint.

        Args:
            template: a state with the shapes and types of the run's.

        Raises:
            OutputError: the run was started with other versions, or the folder cannot be read or written.
        """
        for file in files.stale_temp_files(self.path):
            files.remove(file)
        epoch, damage = self._newest_intact()
        if epoch is None:
            if any((self.path / name).exists() for name in (CHECKPOINTS, SUMMARY)):
                log.warning("%s: no checkpoint is intact (%s); only this run is trained again", self.path, damage)
            self._reset()
            return None
        self._check_versions()
        if damage is not None:
            log.warning("%s: %s; this run resumes from the checkpoint of epoch %d", self.path, damage, epoch + 1)
        self._remove_surplus(epoch)
        checkpoint = checkpoint_folder(self.path, epoch)
        for name in (HISTORY, BEST + WEIGHTS):
            files.write(self.path / name, (checkpoint / name).read_bytes())
        return Checkpoint(self._load(checkpoint, template), read_history(self.path))

    def write_history(self, history: History) -> None:
        """Write the history, for those who look at a run in progress.

        Raises:
            OutputError: the folder cannot be written.
        """
        files.write(self.path / HISTORY, _to_jsonl(history))

    def save(self, state: TrainState, history: History, snapshots: Iterable[str]) -> None:
        """Write a checkpoint of the state and the history, and remove old checkpoints.

        Args:
            state: after the last epoch of the history.
            history: of all epochs, at least one.
            snapshots: names of the snapshots in the folder.

        Raises:
            OutputError: the folder cannot be written.
        """
        epoch = history[-1]["epoch"]
        checkpoint = checkpoint_folder(self.path, epoch)
        files.remove(checkpoint)  # left by an interrupted save
        self._save(checkpoint, state)
        files.write(checkpoint / HISTORY, _to_jsonl(history))
        files.write(checkpoint / (BEST + WEIGHTS), files.read(self.path / (BEST + WEIGHTS)))
        names = [str(file.relative_to(self.path)) for file in checkpoint.rglob("*") if file.is_file()]
        names += [CONFIG, VERSIONS, *(name + WEIGHTS for name in (INITIAL, *snapshots))]
        files.write(checkpoint_sums(self.path, epoch), files.checksums(self.path, names))
        for old in checkpoint_epochs(self.path)[:-MAX_TO_KEEP]:
            remove_checkpoint(self.path, old)

    def finish(self, summary: Mapping[str, Any], weights: Iterable[str]) -> None:
        """Write the summary and the checksums of all files, and remove the checkpoints.

        Args:
            summary: of the run.
            weights: names of the weights in the folder.

        Raises:
            OutputError: the folder cannot be written.
        """
        files.write(self.path / SUMMARY, json.dumps(summary, indent=2))
        files.write(self.path / SUMS, files.checksums(self.path, output_files(weights)))
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def _newest_intact(self) -> tuple[int | None, DamagedError | None]:
        """Return the epoch of the newest intact checkpoint, and what is wrong with the newest if it is not that one."""
        damages: list[DamagedError] = []
        for epoch in reversed(checkpoint_epochs(self.path)):
            try:
                files.verify(self.path, checkpoint_sums(self.path, epoch))
            except DamagedError as damage:
                damages.append(damage)
            else:
                return epoch, damages[0] if damages else None
        return None, damages[0] if damages else DamagedError("there are no checksums")

    def _remove_surplus(self, newest: int) -> None:
        """Remove what is newer than a checkpoint, and make sure before training that others can be written."""
        keep = {str(epoch) for epoch in checkpoint_epochs(self.path) if epoch <= newest}
        folder = files.make_folder(self.path / CHECKPOINTS, "--output or --runs")
        surplus = (name for name in files.list_names(folder) if name.partition(".")[0] not in keep)
        for name in sorted(surplus, key=lambda name: not name.endswith(SUMS_SUFFIX)):  # as in `remove_checkpoint`
            files.remove(folder / name)

    def _reset(self) -> None:
        """Remove all but the configuration, and start an empty history."""
        clear(self.path, keep={CONFIG})
        write_versions(self.path, self._versions)
        files.write(self.path / HISTORY, "")

    def _check_versions(self) -> None:
        """Refuse to resume a run whose numbers would change; warn if only the machine is another."""
        saved, current = read_versions(self.path), self._versions
        mismatches = (
            code_mismatch(saved, current),
            data_mismatch(saved, current[DATA]),
            init_mismatch(saved, current.get(INIT)),
            settings_mismatch(saved, current),
        )
        if any(mismatches):
            remedy = f"delete {self.path} to train the run again, or name another --output"
            raise OutputError(f"{self.path} was started with {' and '.join(filter(None, mismatches))}: {remedy}")
        if (machine := settings_mismatch(saved, current, MACHINE)) is not None:
            log.warning("%s was started with %s: its last bits may differ", self.path, machine)

    def _load(self, checkpoint: Path, template: TrainState) -> TrainState:
        import orbax.checkpoint as ocp

        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        return self._checkpointer.restore((checkpoint / "state").absolute(), args=ocp.args.StandardRestore(shapes))

    def _save(self, checkpoint: Path, state: TrainState) -> None:
        import orbax.checkpoint as ocp

        try:
            checkpoint.mkdir(parents=True)
            _check_free_space(checkpoint, sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + OVERHEAD_BYTES)
            self._checkpointer.save((checkpoint / "state").absolute(), args=ocp.args.StandardSave(state))
        except (OSError, ValueError) as error:  # tensorstore's failed writes are a ValueError
            raise OutputError(f"cannot write {checkpoint}: {_reason(error)}") from None


def _check_free_space(folder: Path, size: int) -> None:
    """Raise an OSError if `size` bytes cannot be written: tensorstore's own message has many lines."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(size))


def _reason(error: OSError | ValueError) -> str:
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return os.strerror(int(code[1])) if code else str(error)


@contextmanager
def open_run(path: Path, versions: Versions) -> Iterator[RunFolder]:
    """Open a run's folder for training, once its metadata is written; `versions` are those of the run."""
    import orbax.checkpoint as ocp

    def is_critical(entry: logging.LogRecord) -> bool:
        return entry.levelno >= logging.CRITICAL

    orbax_log = logging.getLogger("absl")
    orbax_log.addFilter(is_critical)  # it reports every save, and a failed one in many lines
    checkpointer = ocp.Checkpointer(ocp.StandardCheckpointHandler())
    try:
        yield RunFolder(path, versions, checkpointer)
    finally:
        checkpointer.close()
        orbax_log.removeFilter(is_critical)


def read_history(path: Path) -> History:
    """Return the history in a run's folder.

    Raises:
        DamagedError: it is missing.
        OutputError: it cannot be read.
    """
    return [json.loads(line) for line in files.read_shared(path, HISTORY).splitlines()]


def _to_jsonl(history: History) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in history)
