"""The finished runs of a table, when none may be trained."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from cnn3 import RunConfig
from cnn3.cli import UsageError

RunT = TypeVar("RunT")
MAX_LISTED = 4  # names in a sentence


class UnfinishedError(UsageError):
    """Rows of a table have no finished run, or a run has not the weights that are read."""


def only_finished(
    jobs: Mapping[tuple[str, int], RunConfig], runs: Mapping[RunConfig, RunT | None]
) -> dict[str, list[RunT]]:
    """Return the finished runs of each row, in the order of the seeds.

    Args:
        jobs: the configurations by row and seed.
        runs: the run of each configuration, None if it has not finished.

    Raises:
        UnfinishedError: a row has none.
    """
    rows: dict[str, list[RunT]] = {name: [] for name, _ in jobs}
    for (name, _), config in jobs.items():
        run = runs[config]
        if run is not None:
            rows[name].append(run)
    empty = [name for name, finished in rows.items() if not finished]
    if empty:
        raise UnfinishedError(f"{len(empty)} of {len(rows)} rows have no finished run: {shorten(empty)}")
    return rows


def shorten(names: Sequence[str]) -> str:
    """Return the first names as a list, and the number of further ones."""
    rest = [f"and {len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return "; ".join([*names[:MAX_LISTED], *rest])


def describe_missing_seeds(seeds: int, rows: Mapping[str, Sequence[object]]) -> list[str]:
    """Return a sentence that names the rows with fewer finished runs than seeds, or nothing."""
    incomplete = [f"{name} ({len(runs)} of {seeds})" for name, runs in rows.items() if len(runs) < seeds]
    return [f"Rows with fewer finished runs than seeds: {shorten(incomplete)}."] if incomplete else []
