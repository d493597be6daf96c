"""Whose a run's folder is: of which configuration, and with which record (`cnn3.runs.record`).

Files may be damaged: what the checksums of a run or of its checkpoints have of them counts too.
"""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.record import Record

CONFIG, VERSIONS, SUMS = "config.json", "versions.json", "SHA256SUMS"
CHECKPOINTS, SUFFIX = "checkpoints", ".sha256sums"
HISTORY, SUMMARY, WEIGHTS = "history.jsonl", "summary.json", ".safetensors"
INITIAL, BEST = "initial", "best"


def write_metadata(path: Path, config: RunConfig, record: Record) -> None:
    """Write a run's configuration and record into its folder where they are not, or are damaged.

    Raises:
        OutputError: the folder cannot be read or written, or holds another run.
    """
    check_owner(path, config)
    if _read_config(path) != config:
        files.write(path / CONFIG, config.to_json())
    if not read_record(path) or files.digest(_text(record).encode()) in _recorded_digests(path, VERSIONS):
        write_record(path, record)


def write_record(path: Path, record: Record) -> None:
    """Write a run's record into its folder.

    Raises:
        OutputError: it cannot be written.
    """
    files.write(path / VERSIONS, _text(record))


def read_record(path: Path) -> Record:
    """Return the record in a folder; it is empty if there is none or it is damaged.

    Raises:
        OutputError: it cannot be read.
    """
    try:
        record = json.loads(files.read_shared(path, VERSIONS))
    except (DamagedError, ValueError):
        return {}
    valid = isinstance(record, dict) and all(isinstance(value, str) for value in record.values())
    return record if valid else {}


def check_owner(path: Path, config: RunConfig) -> None:
    """Make sure that what a folder holds, damaged as it may be, is of this run.

    Raises:
        OutputError: it is of another, or cannot be read.
    """
    there, recorded = _read_config(path), _recorded_digests(path, CONFIG)
    if there == config or files.digest(config.to_json().encode()) in recorded:
        return  # a configuration that is valid but not that of the checksums is damaged
    if there is not None:
        raise OutputError(f"{path} holds another run ({_differences(there, config)}); name another folder")
    if recorded:
        raise OutputError(f"{path} holds another run, whose {CONFIG} is damaged; name another folder")


def _text(record: Record) -> str:
    return json.dumps(dict(record), indent=2)


def _read_config(path: Path) -> RunConfig | None:
    """Return the configuration in a folder, or None if there is none or it is damaged."""
    try:
        return RunConfig.from_json(files.read_shared(path, CONFIG).decode())
    except (DamagedError, ConfigError, UnicodeDecodeError):
        return None


def _recorded_digests(path: Path, name: str) -> set[str]:
    """Return the digests that a folder's checksums, of the end and of checkpoints, have of a file."""
    digests: set[str] = set()
    checkpoints = path / CHECKPOINTS
    for sums in (path / SUMS, *(checkpoints / file for file in files.list_names(checkpoints) if file.endswith(SUFFIX))):
        with suppress(DamagedError):
            digests |= {digest for of, digest in files.read_checksums(sums).items() if of == name}
    return digests


def _differences(there: RunConfig, here: RunConfig) -> str:
    """Return in words which fields of two configurations differ."""
    pairs = zip(_fields(there).items(), _fields(here).values(), strict=True)
    return ", ".join(f"{name} {old!r}, not {new!r}" for (name, old), new in pairs if old != new)


def _fields(config: RunConfig) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        fields |= {f"{name}.{of}": v for of, v in value.items()} if isinstance(value, dict) else {name: value}
    return fields
