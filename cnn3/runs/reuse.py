"""Whether a finished run is reused: not if it is damaged, of other data or, by default, of other code."""

import json
import logging
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cnn3 import files
from cnn3.config import RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.folder import read_history
from cnn3.runs.layout import SUMMARY, SUMS, clear, output_files, set_aside
from cnn3.runs.metadata import check_config, read_versions
from cnn3.runs.result import History
from cnn3.runs.versions import CODE, DATA, INIT, Versions, code_mismatch, current_versions, data_mismatch, init_mismatch

Reuse = Literal["same-code", "any-version"]  # which finished runs are reused

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What a finished run has left besides its weights."""

    history: History
    summary: dict[str, Any]
    versions: Versions


def read_outcome(path: Path, config: RunConfig) -> Outcome | None:
    """Return what the run in a folder has left, all of it verified, or None if it has not finished.

    The checksums name the files of the run. To save space, a copy may leave out the weights and their checksums.

    Raises:
        DamagedError: a file is not as the run left it.
        OutputError: the folder holds another run, or a file cannot be read.
    """
    if SUMS not in files.list_names(path):
        return None
    check_config(path, config)
    if missing := output_files([]) - files.verify(path, path / SUMS):
        raise DamagedError(f"{SUMS} lacks {min(missing)}")
    return Outcome(read_history(path), json.loads(files.read_shared(path, SUMMARY)), read_versions(path))


def read_finished(
    config: RunConfig, path: Path, reuse: Reuse = "same-code", digest: str | None = None, init: str | None = None
) -> Outcome | None:
    """Return what the run in a folder has left, or None if it has to be trained.

    It has to be trained if it has not finished, is damaged, or was made by other code and `reuse` is "same-code".

    Args:
        config: of the run.
        path: the folder.
        reuse: which finished runs are reused.
        digest: of the data set, None if unknown.
        init: digest of the weights that the run starts from, None if its seed draws them.

    Raises:
        OutputError: the folder holds another run, one of other data or from other weights, or cannot be read.
    """
    try:
        outcome = read_outcome(path, config)
    except DamagedError:
        return None
    if outcome is None or (reuse == "same-code" and code_mismatch(outcome.versions, current_versions(config))):
        return None
    _check_data(path, outcome.versions, digest)
    _check_init(path, outcome.versions, init)
    return outcome


def reuse_or_clear(config: RunConfig, path: Path, versions: Versions, reuse: Reuse) -> Outcome | None:
    """Return what the run in a folder has left; if it has to be trained again, log why, clear the folder, return None.

    Raises:
        OutputError: the folder cannot be read or changed, or holds another run, or one of other data or weights.
    """
    try:
        outcome = read_outcome(path, config)
    except DamagedError as damage:
        log.warning("%s: %s; only this run is trained again", path, damage)
        clear(path)
        return None
    if outcome is None:
        return None
    _check_data(path, outcome.versions, versions[DATA])
    _check_init(path, outcome.versions, versions.get(INIT))
    code = code_mismatch(outcome.versions, versions)
    if code is None or reuse == "any-version":
        return outcome
    aside = set_aside(path, _label(outcome.versions))
    log.warning("%s was made with %s: it is trained again, and the old run is kept as %s", path, code, aside.name)
    return None


def _check_data(path: Path, saved: Versions, digest: str | None) -> None:
    if (data := data_mismatch(saved, digest)) is not None:
        raise OutputError(f"{path} holds this run on other images ({data}); name another folder, or delete it")


def _check_init(path: Path, saved: Versions, init: str | None) -> None:
    if (weights := init_mismatch(saved, init)) is not None:
        raise OutputError(f"{path} holds this run from other weights ({weights}); name another folder, or delete it")


def _label(saved: Versions) -> str:
    """Return the ending of the folder in which a run of other code is kept."""
    return "-".join(["cnn3", saved.get("cnn3", "unknown"), *([saved[CODE][:8]] if CODE in saved else [])])
