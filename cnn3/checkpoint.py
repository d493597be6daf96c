"""A run's folder: all that it needs to go on after an interruption, and all that it leaves behind.

config.json            what was run
history.jsonl          one line an epoch
checkpoints/           the training state after the last epochs, by Orbax
initial.safetensors    weights before training,
epoch20.safetensors    after the epochs whose weights are to be kept,
best.safetensors       and after the best one
summary.json           the outcome, there only once the run has ended
"""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.files import OutputError
from cnn3.train import TrainState

CONFIG, HISTORY, CHECKPOINTS, SUMMARY = "config.json", "history.jsonl", "checkpoints", "summary.json"
KEPT = 2  # checkpoints; one more than needed, in case the newest is damaged


class Saved(NamedTuple):
    """Where an interrupted run stands."""

    state: TrainState
    history: list[dict[str, Any]]  # of the epochs that the state has behind it


class RunFolder:
    """An opened run folder; made by `open_run`."""

    def __init__(self, path: Path, manager: Any) -> None:
        """Take the folder and the Orbax manager of its checkpoints."""
        self.path = path
        self._manager = manager

    def restore(self, like: TrainState) -> Saved | None:
        """Return where the run stands, or None if no epoch has ended; `like` has the state's shapes and types.

        The history is cut back to the epoch of the checkpoint.
        """
        import orbax.checkpoint as ocp

        epoch = self._manager.latest_step()
        if epoch is None:
            return None
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        state = self._manager.restore(epoch, args=ocp.args.StandardRestore(shapes))
        history = read_history(self.path)[: epoch + 1]
        if len(history) != epoch + 1:
            raise OutputError(
                f"{self.path / HISTORY} ends before the checkpoint's epoch {epoch}; delete {self.path} to train it anew"
            )
        files.write(self.path / HISTORY, "".join(f"{json.dumps(record)}\n" for record in history))
        return Saved(state, history)

    def save(self, state: TrainState, record: dict[str, Any]) -> None:
        """Keep an epoch's record, then the state after it."""
        import orbax.checkpoint as ocp

        files.append(self.path / HISTORY, json.dumps(record))
        try:
            self._manager.save(record["epoch"], args=ocp.args.StandardSave(state))
        except OSError as error:
            raise OutputError(f"cannot write {self.path / CHECKPOINTS}: {error.strerror or error}") from None

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the outcome, and let go of the checkpoints that are no longer needed."""
        files.write(self.path / SUMMARY, json.dumps(summary, indent=2))
        self._manager.close()
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)


@contextmanager
def open_run(path: Path) -> Iterator[RunFolder]:
    """Open the checkpoints in a run's folder, which has been claimed."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax reports every save
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
    manager = ocp.CheckpointManager((path / CHECKPOINTS).absolute(), options=options)
    try:
        yield RunFolder(path, manager)
    finally:
        manager.close()


def claim(path: Path, config: RunConfig) -> None:
    """Make the folder of a run and write its configuration, or make sure that it is the one already there.

    Raises:
        OutputError: the folder cannot be written, or holds another run.
    """
    files.make_folder(path)
    file = path / CONFIG
    if not file.exists():
        files.write(file, config.to_json())
        return
    try:
        other = RunConfig.from_json(file.read_text())
    except (ConfigError, UnicodeDecodeError) as error:
        raise OutputError(f"{file} is damaged ({error}); delete {path} to train it anew") from None
    if other != config:
        raise OutputError(f"{path} holds another run; name another folder")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the records of a run folder's epochs; a last line cut off in writing is left out.

    Raises:
        OutputError: a line in the middle is damaged.
    """
    file = path / HISTORY
    lines = file.read_text().split("\n") if file.exists() else [""]
    try:
        return [json.loads(line) for line in lines[:-1]]
    except json.JSONDecodeError:
        raise OutputError(f"{file} is damaged; delete {path} to train it anew") from None


def read_summary(path: Path) -> dict[str, Any] | None:
    """Return the outcome of the run in a folder, or None if it has not ended.

    Raises:
        OutputError: the file is damaged.
    """
    file = path / SUMMARY
    if not file.exists():
        return None
    try:
        return json.loads(file.read_text())
    except ValueError:
        raise OutputError(f"{file} is damaged; delete {path} to train it anew") from None
