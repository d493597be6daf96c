"""Whether what a run has left may be used: not if it is damaged, of other data or, by default, of other code."""

import logging
from pathlib import Path
from typing import Literal

from cnn3.config import RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.checkpoint import Outcome, read_outcome
from cnn3.runs.layout import clear, set_aside
from cnn3.runs.versions import CODE, DATA, Record, code_mismatch, current_record, data_mismatch

Reuse = Literal["same-code", "any-version"]  # which finished runs are taken as they are

log = logging.getLogger(__name__)


def finished(config: RunConfig, path: Path, reuse: Reuse = "same-code", digest: str | None = None) -> Outcome | None:
    """Return what the run in a folder has left, or None if it is to be trained.

    That is if it has not ended, is damaged, or is of other code and `reuse` asks for the same.

    Args:
        config: of the run.
        path: the folder.
        reuse: which finished runs are taken as they are.
        digest: of the data set, None if not known.

    Raises:
        OutputError: the folder holds another run, or one of other data, or cannot be read.
    """
    try:
        outcome = read_outcome(path, config)
    except DamagedError:
        return None
    if outcome is None or (reuse == "same-code" and code_mismatch(outcome.record, current_record(config))):
        return None
    _check_data(path, outcome.record, digest)
    return outcome


def make_room(config: RunConfig, path: Path, record: Record, reuse: Reuse) -> Outcome | None:
    """Return what the run in a folder has left; if it is to be trained again, say why and make room for it.

    Raises:
        OutputError: the folder cannot be read or changed, or holds another run or one of other data.
    """
    try:
        outcome = read_outcome(path, config)
    except DamagedError as damage:
        log.warning("%s: %s; this run alone is trained anew", path, damage)
        clear(path)
        return None
    if outcome is None:
        return None
    _check_data(path, outcome.record, record[DATA])
    code = code_mismatch(outcome.record, record)
    if code is None or reuse == "any-version":
        return outcome
    aside = set_aside(path, _label(outcome.record))
    log.warning("%s was made with %s: it is trained again, and what was there is kept as %s", path, code, aside.name)
    return None


def _check_data(path: Path, saved: Record, digest: str | None) -> None:
    if (data := data_mismatch(saved, digest)) is not None:
        raise OutputError(f"{path} holds this run on other images ({data}); name another folder, or delete it")


def _label(saved: Record) -> str:
    """Return what the folder of a run of other code is called after."""
    return "-".join(["cnn3", saved.get("cnn3", "unknown"), *([saved[CODE][:8]] if CODE in saved else [])])
