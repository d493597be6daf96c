"""On which machines, and by which versions, the runs of a table were made."""

from collections import Counter
from collections.abc import Iterable, Mapping

from cnn3.runs.versions import Versions
from experiments.support.names import listing, number_of

DEVICES, VERSIONS = ("device", "platform"), ("cnn3", "jax", "jaxlib")
UNKNOWN = "not recorded"


def device(of: Versions) -> str:
    """Return the device of a run, or that it was not recorded."""
    return next((of[name] for name in DEVICES if of.get(name)), UNKNOWN)


def versions(of: Versions) -> str:
    """Return the versions of a run, or that they were not recorded."""
    return ", ".join(f"{name} {of[name]}" for name in VERSIONS if of.get(name)) or UNKNOWN


def devices(records: Iterable[Versions]) -> str:
    """Return the devices of several runs, each with its number of runs if there are several."""
    return _counted(Counter(device(of) for of in records))


def machines(records: Iterable[Versions]) -> str:
    """Return in a sentence on which devices and by which versions runs were made.

    Args:
        records: of each run, as its `versions.json` has them; old ones lack keys.
    """
    found = list(records)
    on, by = Counter(map(device, found)), Counter(map(versions, found))
    return f"{number_of(len(found), 'run')}. Device: {_counted(on)}. Versions: {_counted(by)}."


def _counted(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return listing([f"{name} ({number_of(count, 'run')})" for name, count in counts.items()])
