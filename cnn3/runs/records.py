"""Runs and their epochs as flat records, for tables such as `pandas.DataFrame(read_runs("results"))`."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.folder import read_history
from cnn3.runs.layout import CONFIG, HISTORY, SUMS
from cnn3.runs.metadata import config_fields, read_versions, unnested
from cnn3.runs.result import History, summarize
from cnn3.runs.reuse import read_outcome
from cnn3.runs.versions import CODE

METRICS = ("loss", "accuracy")

log = logging.getLogger(__name__)


class RunRecord(NamedTuple):
    """What a run's folder holds.

    Args:
        folder: the run's.
        config: what is run.
        history: of the epochs so far.
        summary: as in `cnn3.Result`; of a run that has not finished, what is known so far.
        finished: whether the run has.
    """

    folder: Path
    config: RunConfig
    history: History
    summary: dict[str, Any]
    finished: bool


def read_run(folder: str | Path) -> RunRecord:
    """Return what a run's folder holds; the files of a finished run are verified.

    Raises:
        OutputError: it holds no run, or a damaged one, or cannot be read.
    """
    path = Path(folder)
    try:
        config = RunConfig.from_json(files.read_shared(path, CONFIG).decode(errors="replace"))
        outcome = read_outcome(path, config)
        if outcome is not None:
            return RunRecord(path, config, outcome.history, outcome.summary, True)
        history = read_history(path) if HISTORY in files.list_names(path) else []
    except (DamagedError, ConfigError, ValueError) as error:  # ValueError: a line of the history is cut off
        raise OutputError(f"{path} holds no intact run: {error}; name the folder of a run, with its {CONFIG}") from None
    return RunRecord(path, config, history, summarize(config, history, None, None), False)


def read_runs(folder: str | Path) -> list[dict[str, Any]]:
    """Return a flat record of each run in a folder and the folders in it, sorted by their paths.

    A record has the run's `folder`, whether it has `finished`, `trained_epochs`, `best_epoch` (both as in
    `cnn3.Result.summary`), `train_loss`, `train_accuracy`, the same of validation and test, `images_per_second` and
    `stopped`; the version of `cnn3` and the fingerprint of its `code` that made it; then the fields of its
    configuration under their names, those of its parts as `optimizer.name`. What is not known is None. Folders that
    hold no intact run are left out with a warning.

    Raises:
        OutputError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise OutputError(f"there is no folder {root}; name one that holds runs")
    return [flatten(run) for run in _find_runs(root)]


def read_epochs(folder: str | Path) -> list[dict[str, Any]]:
    """Return a flat record of each epoch of the run in a folder.

    A record has `epoch`, which counts from 0, `train_loss`, `train_accuracy`, `validation_loss`,
    `validation_accuracy`, `seconds` and `images_per_second`.

    Raises:
        OutputError: it holds no run, or a damaged one, or cannot be read.
    """
    return [unnested(record, "_") for record in read_run(folder).history]


def flatten(run: RunRecord) -> dict[str, Any]:
    """Return a run as a flat record, as in `read_runs`."""
    summary, versions = run.summary, read_versions(run.folder)
    return {
        "folder": str(run.folder),
        "finished": run.finished,
        "trained_epochs": summary["epochs"],
        "best_epoch": summary["best_epoch"],
        **{
            f"{split}_{metric}": (summary[split] or {}).get(metric)
            for split in ("train", "validation", "test")
            for metric in METRICS
        },
        "images_per_second": summary["images_per_second"],
        "stopped": summary["stopped"],
        "cnn3": versions.get("cnn3"),
        CODE: versions.get(CODE),
        **config_fields(run.config),
    }


def _find_runs(root: Path) -> Iterator[RunRecord]:
    for path in sorted(root.rglob(CONFIG)):
        if path.parent.name.startswith("."):  # a copy that was not completed
            continue
        if {SUMS, HISTORY} & set(files.list_names(path.parent)):
            try:
                yield read_run(path.parent)
            except OutputError as error:
                log.warning("%s", error)
