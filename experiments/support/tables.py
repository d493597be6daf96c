"""Tables of runs next to the original study's numbers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from experiments.support.display_names import display_name
from experiments.support.options import Options
from experiments.support.reported import Reported, comparable_note
from experiments.support.run import METRICS, SPLITS, Run, RunSummary, metric_values

MISSING = "-"  # in place of a missing number

Key = TypeVar("Key")
Value = TypeVar("Value")


class Row(NamedTuple):
    """The runs of a configuration, one for each seed.

    Args:
        name: the name of the configuration.
        runs: its runs.
        reported: the original study's numbers, None if it has none.
        extra: further entries of its row in `summary.json`.
    """

    name: str
    runs: Sequence[Run]
    reported: Reported | None
    extra: Mapping[str, Any] = MappingProxyType({})


class Table(NamedTuple):
    """A table of text.

    Args:
        header: the names of the columns.
        rows: the cells.
        labels: the number of leading columns with text; the others have numbers.
        cards: whether each row is shown as a card on a narrow screen, since its cells hold sentences.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int
    cards: bool = False


def drop_empty_columns(table: Table) -> Table:
    """Return a table without the columns that are empty in every row."""
    used = [i for i in range(len(table.header)) if any(row[i] not in (MISSING, "") for row in table.rows)]
    header, rows = [table.header[i] for i in used], [[row[i] for i in used] for row in table.rows]
    return table._replace(header=header, rows=rows, labels=sum(i < table.labels for i in used))


def reported_for(options: Options, reported: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """Return the original study's numbers if the runs use its data set, else none."""
    return reported if options.dataset == "cifar10" else {}


def table_notes(options: Options, *reported: str) -> list[str]:
    """Return the notes that readers of tables need; `reported` are those about the original study's numbers."""
    measured = (
        "Train and validation are those of the best epoch, the first of highest validation accuracy. Test is measured "
        "once, with that epoch's weights. Loss is the mean cross entropy in nats."
    )
    spread = ["± is the standard deviation over the seeds."] if options.seeds > 1 else []
    original = [comparable_note(options.protocol), *reported] if reported and options.dataset == "cifar10" else []
    return [measured, *spread, *original]


def mean(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the means over the runs that have numbers, the number of these runs ("seeds"), and "std".

    "std" holds the sample standard deviations, None for fewer than two runs. A run that diverged in its first epoch has
    no numbers.
    """
    measured = [run.summary for run in runs if run.summary.test is not None]
    std = _reduce(measured, lambda values: stdev(values) if len(values) > 1 else None)
    return {"seeds": len(measured), **_reduce(measured, lambda values: fmean(values) if values else None), "std": std}


def _reduce(summaries: Sequence[RunSummary], reduce: Callable[[list[Any]], float | None]) -> dict[str, Any]:
    metrics = {
        split: {metric: reduce([summary.metric(split, metric) for summary in summaries]) for metric in METRICS}
        for split in SPLITS
    }
    return {
        "epochs": reduce([summary.epochs for summary in summaries]),
        "best_epoch": reduce([summary.best_epoch for summary in summaries]),
        **metrics,
        "images_per_second": reduce([summary.images_per_second for summary in summaries]),
    }


def results_table(rows: Sequence[Row], name: str) -> Table:
    """Return accuracy and loss of each row and split, next to the original study's if any row has them."""
    compared = any(row.reported for row in rows)
    header = [name, "split", "accuracy", "loss"]
    if compared:
        columns = ("original study", "made comparable", "ours", "difference")
        header = [name, "split", *(f"accuracy, {column}" for column in columns), "loss, original study", "loss, ours"]
    lines = []
    for row in rows:
        for split in SPLITS:
            accuracy, loss = (format_metric(row.runs, split, metric) for metric in ("accuracy", "loss"))
            cells = [accuracy, loss]
            if compared:
                printed, stands_for, difference = _compared(row, split)
                cells = [printed, stands_for, accuracy, difference, _reported(row, split, "loss"), loss]
            lines.append([display_name(row.name) if split == SPLITS[0] else "", split, *cells])
    return Table(header, lines, 2)


def _compared(row: Row, split: str) -> tuple[str, str, str]:
    """Return the original accuracy as printed and made comparable, and the points by which ours is higher."""
    stands_for = row.reported and row.reported.comparable(split)
    if row.reported is None or stands_for is None:
        return MISSING, MISSING, MISSING
    target = target_accuracy(row, split)
    values = metric_values(row.runs, split, "accuracy")
    difference = f"{100 * (fmean(values) - target):+.2f}" if values and target is not None else MISSING
    return _reported(row, split, "accuracy"), str(stands_for), difference


def target_accuracy(row: Row, split: str) -> float | None:
    """Return the original accuracy to compare a row with: as printed if its runs divide as the original program."""
    numbers = row.reported and getattr(row.reported, split)
    if row.reported is None or numbers is None:
        return None
    if row.runs[0].config.protocol.pad_accuracy:
        return numbers.accuracy
    stands_for = row.reported.comparable(split)
    return stands_for and stands_for.middle


def format_metric(runs: Sequence[Run], split: str, metric: str) -> str:
    """Return a metric of the best epoch over runs, as `format_mean_std` does."""
    return format_mean_std([run.summary.metric(split, metric) for run in runs])


def format_mean_std(values: Sequence[float | None], digits: int = 4) -> str:
    """Return the mean of the values that are not None, their standard deviation, and their number if some are None."""
    present = [value for value in values if value is not None]
    if not present:
        return MISSING
    std = f" ± {stdev(present):.{digits}f}" if len(present) > 1 else ""
    count = f" ({len(present)} of {len(values)})" if len(present) < len(values) else ""
    return f"{fmean(present):.{digits}f}{std}{count}"


def format_count(values: Sequence[int | None]) -> str:
    """Return integers as `format_mean_std` does, without a fraction if there is only one."""
    return format_mean_std(values, 0 if len(values) == 1 else 1)


def _reported(row: Row, split: str, metric: str) -> str:
    value = getattr(row.reported and getattr(row.reported, split), metric, None)
    return MISSING if value is None else f"{value:.4f}"


def runs_table(rows: Sequence[Row], name: str) -> Table:
    """Return a line for each run: why it ended, its best epoch, counted from 1, its number of epochs and its speed."""
    header = [name, "seed", "ended", "best epoch", "epochs", "images/s"]
    lines = [[display_name(row.name), str(run.config.seed), *_run_cells(run)] for row in rows for run in row.runs]
    return Table(header, lines, 3)


def _run_cells(run: Run) -> list[str]:
    best, speed = run.summary.best_epoch, run.summary.images_per_second
    return [
        stop_reason(run),
        MISSING if best is None else str(best + 1),
        str(run.summary.epochs),
        MISSING if speed is None else f"{speed:.0f}",
    ]


def stop_reasons(runs: Sequence[Run]) -> str:
    """Return why runs ended, with the number of runs for each reason if they differ."""
    reasons = Counter(map(stop_reason, runs))
    if len(reasons) == 1:
        return next(iter(reasons))
    return "; ".join(f"{reason} ({count} of {len(runs)})" for reason, count in reasons.items())


def stop_reason(run: Run) -> str:
    """Return why a run ended, in words; epochs and steps count from 1."""
    diverged = run.summary.diverged
    if diverged is not None:
        return f"diverged at epoch {diverged.epoch + 1}, {diverged.during} step {diverged.step + 1}"
    return f"no rise for {run.config.patience} epochs" if run.summary.stopped == "patience" else "all epochs done"
