"""Tables of runs, beside the original study's numbers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from experiments.support.names import shown
from experiments.support.options import Options
from experiments.support.reported import Reported, comparable_note
from experiments.support.runner import Run

SPLITS, METRICS = ("train", "validation", "test"), ("loss", "accuracy")
MISSING = "-"  # where there is no number

Key = TypeVar("Key")
Value = TypeVar("Value")


class Row(NamedTuple):
    """A configuration's runs, one a seed, what the original study has of it, and more for its row of `summary.json`."""

    name: str
    runs: Sequence[Run]
    reported: Reported | None
    more: Mapping[str, Any] = MappingProxyType({})


class Table(NamedTuple):
    """A table of text; the first `labels` columns are words, the others numbers.

    A table of `cards` has long words in its cells: on a narrow screen each of its rows is shown as a card.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int
    cards: bool = False


def without_empty(table: Table) -> Table:
    """Return a table without the columns that have nothing in any row."""
    kept = [i for i in range(len(table.header)) if any(row[i] not in (MISSING, "") for row in table.rows)]
    header, rows = [table.header[i] for i in kept], [[row[i] for i in kept] for row in table.rows]
    return table._replace(header=header, rows=rows, labels=sum(i < table.labels for i in kept))


def reported_for(options: Options, reported: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """Return the original study's numbers or words if they are of the data set in use, else none."""
    return reported if options.dataset == "cifar10" else {}


def table_notes(options: Options, *reported: str) -> list[str]:
    """Return what a reader of tables must know; `reported` says it of the original study's numbers beside them."""
    measured = (
        "Train and validation are those of the best epoch, the first of highest validation accuracy; test is measured "
        "once, with that epoch's weights. Loss is the mean cross entropy in nats."
    )
    spread = ["± is the standard deviation over the seeds."] if options.seeds > 1 else []
    theirs = [comparable_note(options.protocol), *reported] if reported and options.dataset == "cifar10" else []
    return [measured, *spread, *theirs]


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
    """Return accuracy and loss of each row and split, beside the original study's where it has any."""
    theirs = ["original study", "made comparable", "ours", "difference"]
    header = [name, "split", *(f"accuracy, {of}" for of in theirs), "loss, original study", "loss, ours"]
    if not any(row.reported for row in rows):
        header = [name, "split", "accuracy", "loss"]
    lines = []
    for row in rows:
        for split in SPLITS:
            ours = {metric: format_metric(row.runs, split, metric) for metric in METRICS}
            cells = [ours["accuracy"], ours["loss"]]
            if len(header) > 4:
                accuracies = _compared(row, split)
                cells = [*accuracies[:2], ours["accuracy"], accuracies[2], _reported(row, split, "loss"), ours["loss"]]
            lines.append([shown(row.name) if split == SPLITS[0] else "", split, *cells])
    return Table(header, lines, 2)


def _compared(row: Row, split: str) -> tuple[str, str, str]:
    """Return an accuracy of the original study, what it stands for, and by how many points ours lies above that."""
    stands_for = row.reported and row.reported.comparable(split)
    if row.reported is None or stands_for is None:
        return MISSING, MISSING, MISSING
    target = target_accuracy(row, split)
    values = [run.summary[split]["accuracy"] for run in row.runs if run.summary[split]]
    difference = f"{100 * (fmean(values) - target):+.2f}" if values and target is not None else MISSING
    return _reported(row, split, "accuracy"), str(stands_for), difference


def target_accuracy(row: Row, split: str) -> float | None:
    """Return what a row's accuracy is to be compared with: the number as printed if its runs divide likewise."""
    numbers = row.reported and getattr(row.reported, split)
    if row.reported is None or numbers is None:
        return None
    if row.runs[0].config.protocol.pad_accuracy:
        return numbers.accuracy
    stands_for = row.reported.comparable(split)
    return stands_for and stands_for.middle


def format_metric(runs: Sequence[Run], split: str, metric: str) -> str:
    """Return a metric of the best epoch over runs, as `format_mean_std` does."""
    return format_mean_std([run.summary[split] and run.summary[split][metric] for run in runs])


def format_mean_std(values: Sequence[float | None], digits: int = 4) -> str:
    """Return for a reader the mean of the values that are there, their standard deviation, and how many of all."""
    there = [value for value in values if value is not None]
    if not there:
        return MISSING
    std = f" ± {stdev(there):.{digits}f}" if len(there) > 1 else ""
    some = f" ({len(there)} of {len(values)})" if len(there) < len(values) else ""
    return f"{fmean(there):.{digits}f}{std}{some}"


def format_count(values: Sequence[int | None]) -> str:
    """Return whole numbers as `format_mean_std` does, one alone without a fraction."""
    return format_mean_std(values, 0 if len(values) == 1 else 1)


def _reported(row: Row, split: str, metric: str) -> str:
    value = getattr(row.reported and getattr(row.reported, split), metric, None)
    return MISSING if value is None else f"{value:.4f}"


def runs_table(rows: Sequence[Row], name: str) -> Table:
    """Return how each run went: its epochs, counted from 1, why it ended, and its speed."""
    header = [name, "seed", "ended", "best epoch", "epochs", "images/s"]
    lines = [[shown(row.name), str(run.config.seed), *_run_cells(run)] for row in rows for run in row.runs]
    return Table(header, lines, 3)


def _run_cells(run: Run) -> list[str]:
    best, speed = run.summary["best_epoch"], run.summary["images_per_second"]
    return [
        stop_reason(run),
        MISSING if best is None else str(best + 1),
        str(run.summary["epochs"]),
        MISSING if speed is None else f"{speed:.0f}",
    ]


def stop_reasons(runs: Sequence[Run]) -> str:
    """Return why runs ended, and how many of them for what reason if they differ."""
    reasons = Counter(map(stop_reason, runs))
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{reason} ({times} of {len(runs)})" for reason, times in reasons.items())


def stop_reason(run: Run) -> str:
    """Return in words why a run ended; epochs and steps count from 1."""
    diverged = run.summary["diverged"]
    if diverged:
        return f"diverged at epoch {diverged['epoch'] + 1}, {diverged['during']} step {diverged['step'] + 1}"
    return f"no rise for {run.config.patience} epochs" if run.summary["stopped"] == "patience" else "all epochs done"
