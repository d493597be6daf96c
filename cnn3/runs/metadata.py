"""Which configuration and versions a run's folder belongs to.

The files may be damaged, so digests of them in the checksums of the run and of its checkpoints count too.
"""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.files import DamagedError, OutputError
from cnn3.runs.layout import CHECKPOINTS, CONFIG, SUMS, SUMS_SUFFIX, VERSIONS
from cnn3.runs.versions import Versions


def write_metadata(path: Path, config: RunConfig, versions: Versions) -> None:
    """Write a run's configuration and versions into its folder if they are missing or damaged.

    Raises:
        OutputError: the folder cannot be read or written, or holds another run.
    """
    check_config(path, config)
    if _read_config(path) != config:
        files.write(path / CONFIG, config.to_json())
    if not read_versions(path) or files.digest(_to_json(versions).encode()) in _recorded_digests(path, VERSIONS):
        write_versions(path, versions)


def write_versions(path: Path, versions: Versions) -> None:
    """Write a run's versions into its folder.

    Raises:
        OutputError: they cannot be written.
    """
    files.write(path / VERSIONS, _to_json(versions))


def read_versions(path: Path) -> Versions:
    """Return the versions in a folder, empty if they are missing or damaged.

    Raises:
        OutputError: they cannot be read.
    """
    try:
        versions = json.loads(files.read_shared(path, VERSIONS))
    except (DamagedError, ValueError):
        return {}
    valid = isinstance(versions, dict) and all(isinstance(value, str) for value in versions.values())
    return versions if valid else {}


def check_config(path: Path, config: RunConfig) -> None:
    """Make sure that what a folder holds, even if damaged, belongs to the run of a configuration.

    Raises:
        OutputError: it belongs to another run, or cannot be read.
    """
    saved, digests = _read_config(path), _recorded_digests(path, CONFIG)
    if saved == config or files.digest(config.to_json().encode()) in digests:
        return  # a valid configuration other than that of the checksums is damaged
    if saved is not None:
        raise OutputError(f"{path} holds another run ({_differences(saved, config)}); name another folder")
    if digests:
        raise OutputError(f"{path} holds another run, whose {CONFIG} is damaged; name another folder")


def _to_json(versions: Versions) -> str:
    return json.dumps(dict(versions), indent=2)


def _read_config(path: Path) -> RunConfig | None:
    """Return the configuration in a folder, or None if it is missing or damaged."""
    try:
        return RunConfig.from_json(files.read_shared(path, CONFIG).decode())
    except (DamagedError, ConfigError, UnicodeDecodeError):
        return None


def _recorded_digests(path: Path, name: str) -> set[str]:
    """Return a file's digests in the checksums of a run and of its checkpoints."""
    digests: set[str] = set()
    folder = path / CHECKPOINTS
    for sums in (path / SUMS, *(folder / file for file in files.list_names(folder) if file.endswith(SUMS_SUFFIX))):
        with suppress(DamagedError):
            digests |= {digest for file, digest in files.read_checksums(sums).items() if file == name}
    return digests


def _differences(saved: RunConfig, current: RunConfig) -> str:
    """Describe the fields in which two configurations differ."""
    pairs = zip(config_fields(saved).items(), config_fields(current).values(), strict=True)
    return ", ".join(f"{name} {old!r}, not {new!r}" for (name, old), new in pairs if old != new)


def config_fields(config: RunConfig) -> dict[str, Any]:
    """Return the fields of a configuration, those of its parts as `optimizer.name`."""
    return unnested(dataclasses.asdict(config), ".")


def unnested(values: dict[str, Any], joint: str) -> dict[str, Any]:
    """Return a dictionary with the items of the dictionaries in it as its own."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= {f"{name}{joint}{part}": v for part, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat
