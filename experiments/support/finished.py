"""Runs that are only read: what has ended so far, and what has not."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from cnn3 import RunConfig
from cnn3.cli import UsageError

Done = TypeVar("Done")
SHOWN = 4  # names of runs that a sentence lists


class UnfinishedError(UsageError):
    """Rows of a table have no finished run."""


def only_finished(
    jobs: Mapping[tuple[str, int], RunConfig], done: Mapping[RunConfig, Done | None]
) -> dict[str, list[Done]]:
    """Return the finished runs of each row, in the order of the seeds.

    Args:
        jobs: configurations by row and seed.
        done: what has been read of each configuration, None where its run has not finished.

    Raises:
        UnfinishedError: a row has none.
    """
    rows: dict[str, list[Done]] = {name: [] for name, _ in jobs}
    for (name, _), config in jobs.items():
        run = done[config]
        if run is not None:
            rows[name].append(run)
    without = [name for name, runs in rows.items() if not runs]
    if without:
        raise UnfinishedError(f"{len(without)} of {len(rows)} rows have no finished run: {listed(without)}")
    return rows


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many there are beyond them."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return "; ".join([*names[:SHOWN], *more])


def absent_seeds(seeds: int, rows: Mapping[str, Sequence[object]]) -> list[str]:
    """Return in a sentence which rows have fewer finished runs than seeds were asked for, or nothing."""
    fewer = [f"{name} ({len(runs)} of {seeds})" for name, runs in rows.items() if len(runs) < seeds]
    return [f"Some seeds have no finished run here: {listed(fewer)}."] if fewer else []
