"""Sentences on the devices and versions that the runs of a table were made with."""

from collections import Counter
from collections.abc import Iterable, Mapping

from cnn3.runs.versions import Versions
from experiments.support.display_names import join_names, pluralize

DEVICES, VERSIONS = ("device", "platform"), ("cnn3", "jax", "jaxlib")
UNKNOWN = "not recorded"


def device(record: Versions) -> str:
    """Return the device of a run, or that it was not recorded."""
    return next((record[name] for name in DEVICES if record.get(name)), UNKNOWN)


def versions(record: Versions) -> str:
    """Return the versions of a run, or that they were not recorded."""
    return ", ".join(f"{name} {record[name]}" for name in VERSIONS if record.get(name)) or UNKNOWN


def describe_devices(records: Iterable[Versions]) -> str:
    """Return the devices of runs, each with its number of runs if they differ."""
    return _counted(Counter(map(device, records)))


def describe_machines(records: Iterable[Versions]) -> str:
    """Return the number of runs, their devices and their versions, in sentences.

    Args:
        records: the record of each run, as in its `versions.json`; old ones lack keys.
    """
    records = list(records)
    devices, by_version = _counted(Counter(map(device, records))), _counted(Counter(map(versions, records)))
    return f"{pluralize(len(records), 'run')}. Device: {devices}. Versions: {by_version}."


def _counted(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return join_names([f"{name} ({pluralize(count, 'run')})" for name, count in counts.items()])
