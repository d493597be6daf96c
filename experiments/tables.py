"""Tables of runs, beside the report's numbers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from experiments.common import Options, Run
from experiments.reported import Reported, Statement

SPLITS, METRICS = ("train", "validation", "test"), ("loss", "accuracy")
NOTHING = "-"  # where there is no number

Key = TypeVar("Key")
Value = TypeVar("Value")


class Row(NamedTuple):
    """A configuration's runs, one a seed, what the report has of it, and more for its row of `summary.json`."""

    name: str
    runs: Sequence[Run]
    reported: Reported | None
    more: Mapping[str, Any] = MappingProxyType({})


class Table(NamedTuple):
    """A table of text; the first `labels` columns are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int


def beside(options: Options, reported: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """Return the report's numbers or words if they are of the data set in use, else none."""
    return reported if options.dataset == "cifar10" else {}


def reading(options: Options, *reported: str) -> list[str]:
    """Return what a reader of tables must know; `reported` says it of the report's numbers beside them."""
    measured = (
        "Train and validation are those of the best epoch, the first of highest validation accuracy; test is measured "
        "once, with that epoch's weights. Loss is the mean cross entropy in nats."
    )
    spread = ["± is the standard deviation over the seeds."] if options.seeds > 1 else []
    if options.dataset != "cifar10":
        return [measured, *spread, f"The report has no numbers of {options.dataset}: its own are of CIFAR-10."]
    return [measured, *spread, *reported]


def mean(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the means over the runs that have numbers, how many they are ("seeds"), and "std", their spread.

    The spread is the sample standard deviation, None of fewer than two; a run that diverged in its first epoch has no
    numbers.
    """
    measured = [run.summary for run in runs if run.summary["test"] is not None]
    std = _reduce(measured, lambda values: stdev(values) if len(values) > 1 else None)
    return {"seeds": len(measured), **_reduce(measured, lambda values: fmean(values) if values else None), "std": std}


def _reduce(summaries: Sequence[dict[str, Any]], of: Callable[[list[float]], float | None]) -> dict[str, Any]:
    counts = {name: of([s[name] for s in summaries]) for name in ("epochs", "best_epoch")}
    metrics = {split: {metric: of([s[split][metric] for s in summaries]) for metric in METRICS} for split in SPLITS}
    return {**counts, **metrics, "images_per_second": of([s["images_per_second"] for s in summaries])}


def results_table(rows: Sequence[Row], name: str) -> Table:
    """Return loss and accuracy of each row and split, beside the report's where it has any."""
    has_reported = any(row.reported for row in rows)
    header = [name, "split", *(h for metric in METRICS for h in ([metric, "report's"] if has_reported else [metric]))]
    lines = []
    for row in rows:
        for split in SPLITS:
            pairs = [(measured(row.runs, split, metric), _reported(row, split, metric)) for metric in METRICS]
            cells = [cell for pair in pairs for cell in (pair if has_reported else pair[:1])]
            lines.append([row.name if split == SPLITS[0] else "", split, *cells])
    return Table(header, lines, 2)


def measured(runs: Sequence[Run], split: str, metric: str) -> str:
    """Return a metric of the best epoch over runs, as `spread` does."""
    return spread([run.summary[split] and run.summary[split][metric] for run in runs])


def spread(values: Sequence[float | None], digits: int = 4) -> str:
    """Return for a reader the mean of the values that are there, their standard deviation, and how many of all."""
    there = [value for value in values if value is not None]
    if not there:
        return NOTHING
    std = f" ± {stdev(there):.{digits}f}" if len(there) > 1 else ""
    some = f" ({len(there)} of {len(values)})" if len(there) < len(values) else ""
    return f"{fmean(there):.{digits}f}{std}{some}"


def count(values: Sequence[int | None]) -> str:
    """Return whole numbers as `spread` does, one alone without a fraction."""
    return spread(values, 0 if len(values) == 1 else 1)


def _reported(row: Row, split: str, metric: str) -> str:
    value = getattr(row.reported and getattr(row.reported, split), metric, None)
    return NOTHING if value is None else f"{value:.4f}"


def runs_table(rows: Sequence[Row], name: str) -> Table:
    """Return how each run went: its epochs, counted from 1, why it ended, and its speed."""
    header = [name, "seed", "ended", "best epoch", "epochs", "images/s"]
    lines = [[row.name, str(run.config.seed), *_course(run)] for row in rows for run in row.runs]
    return Table(header, lines, 3)


def words_table(said: Sequence[tuple[str, Statement, str]], name: str) -> Table:
    """Return what the report says of each thing, and what was measured of it."""
    lines, above = [], None
    for of, statement, found in said:
        lines.append([of, statement.section, statement.text, "as above" if found == above else found])
        above = found
    return Table([name, "section", "what the report says", "measured"], lines, 4)


def _course(run: Run) -> list[str]:
    best, speed = run.summary["best_epoch"], run.summary["images_per_second"]
    return [
        ended(run),
        NOTHING if best is None else str(best + 1),
        str(run.summary["epochs"]),
        NOTHING if speed is None else f"{speed:.0f}",
    ]


def endings(runs: Sequence[Run]) -> str:
    """Return why runs ended, and how many of them for what reason if they differ."""
    reasons = Counter(map(ended, runs))
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{reason} ({times} of {len(runs)})" for reason, times in reasons.items())


def ended(run: Run) -> str:
    """Return in words why a run ended; epochs and steps count from 1."""
    diverged = run.summary["diverged"]
    if diverged:
        return f"diverged at epoch {diverged['epoch'] + 1}, {diverged['during']} step {diverged['step'] + 1}"
    return f"no rise for {run.config.patience} epochs" if run.summary["stopped"] == "patience" else "all epochs done"
