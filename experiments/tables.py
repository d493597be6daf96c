"""What an experiment leaves: `summary.json`, `table.md` and figures."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from cnn3 import files, plots
from experiments.common import Options, Run
from experiments.reported import Reported

SPLITS, METRICS = ("train", "validation", "test"), ("loss", "accuracy")
NOTHING = "-"  # where there is no number


class Row(NamedTuple):
    """A configuration's runs, one a seed, and what the report has of it."""

    name: str
    runs: Sequence[Run]
    reported: Reported | None


class Table(NamedTuple):
    """A table of text; the first `labels` columns are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int


@dataclass(frozen=True)
class Report:
    """What an experiment has found.

    Args:
        title: of the document.
        rows: the runs, for `summary.json`.
        notes: what a reader must know of the numbers, a sentence or two each.
        tables: by heading.
        figures: by file name.
    """

    title: str
    rows: Sequence[Row]
    notes: Sequence[str]
    tables: Mapping[str, Table]
    figures: Mapping[str, Figure]


def publish(options: Options, experiment: str, report: Report) -> list[Path]:
    """Write an experiment's files, print its tables, and return the files' paths.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = files.make_folder(options.folder(experiment))
    for name, figure in report.figures.items():
        plots.save(figure, folder / name)
    files.write(folder / "table.md", markdown(options, report))
    files.write(folder / "summary.json", json.dumps(summarise(options, experiment, report.rows), indent=2) + "\n")
    show(options, report, Console(highlight=False, markup=False))
    return [folder / name for name in ("summary.json", "table.md", *report.figures)]


def summarise(options: Options, experiment: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the content of `summary.json`; `best_epoch` counts from 0, `config` is that of the first seed."""
    return {
        "experiment": experiment,
        "dataset": options.dataset,
        "protocol": options.protocol,
        "limit": options.limit,
        "rows": [
            {
                "name": row.name,
                "config": asdict(row.runs[0].config),
                "seeds": [{"seed": run.config.seed, **run.summary} for run in row.runs],
                "mean": mean(row.runs),
                "reported": row.reported and row.reported.to_json(),
            }
            for row in rows
        ],
    }


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
    beside = any(row.reported for row in rows)
    header = [name, "split", *(h for metric in METRICS for h in ([metric, "report's"] if beside else [metric]))]
    lines = []
    for row in rows:
        numbers = mean(row.runs)
        for split in SPLITS:
            pairs = [
                (_spread(numbers, split, metric, len(row.runs)), _reported(row, split, metric)) for metric in METRICS
            ]
            cells = [cell for pair in pairs for cell in (pair if beside else pair[:1])]
            lines.append([row.name if split == SPLITS[0] else "", split, *cells])
    return Table(header, lines, 2)


def _spread(numbers: Mapping[str, Any], split: str, metric: str, runs: int) -> str:
    """Return a mean and its standard deviation for a reader."""
    value, std, seeds = numbers[split][metric], numbers["std"][split][metric], numbers["seeds"]
    if value is None:
        return NOTHING
    some = f" ({seeds} of {runs})" if seeds < runs else ""
    return f"{value:.4f}{'' if std is None else f' ± {std:.4f}'}{some}"


def _reported(row: Row, split: str, metric: str) -> str:
    metrics = row.reported and getattr(row.reported, split)
    return f"{getattr(metrics, metric):.4f}" if metrics else NOTHING


def runs_table(rows: Sequence[Row], name: str) -> Table:
    """Return how each run went: its epochs, counted from 1, why it ended, and its speed."""
    header = [name, "seed", "ended", "best epoch", "epochs", "images/s"]
    lines = [[row.name, str(run.config.seed), *_course(run)] for row in rows for run in row.runs]
    return Table(header, lines, 3)


def _course(run: Run) -> list[str]:
    best, speed = run.summary["best_epoch"], run.summary["images_per_second"]
    return [
        ended(run),
        NOTHING if best is None else str(best + 1),
        str(run.summary["epochs"]),
        NOTHING if speed is None else f"{speed:.0f}",
    ]


def ended(run: Run) -> str:
    """Return in words why a run ended; epochs and steps count from 1."""
    diverged = run.summary["diverged"]
    if diverged:
        return f"diverged at epoch {diverged['epoch'] + 1}, {diverged['during']} step {diverged['step'] + 1}"
    return f"no rise for {run.config.patience} epochs" if run.summary["stopped"] == "patience" else "all epochs done"


def markdown(options: Options, report: Report) -> str:
    """Return the document: title, setting, notes, tables and figures."""
    parts = [f"# {report.title}", options.describe(), *report.notes]
    for heading, table in report.tables.items():
        parts += [f"## {heading}", _markdown_table(table)]
    parts += [f"![{Path(name).stem.replace('_', ' ')}]({name})" for name in report.figures]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    rule = [":---" if i < table.labels else "---:" for i in range(len(table.header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [table.header, rule, *table.rows])


def show(options: Options, report: Report, console: Console) -> None:
    """Print an experiment's tables, with what a reader must know of them."""
    console.print(f"\n{report.title}", style="bold")
    console.print(options.describe())
    for heading, table in report.tables.items():
        shown = RichTable(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        for i, name in enumerate(table.header):
            shown.add_column(name, justify="left" if i < table.labels else "right")
        for line in table.rows:
            shown.add_row(*line)
        console.print("", shown, "", sep="\n")
    for note in report.notes:
        console.print(note)
