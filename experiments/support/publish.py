"""What an experiment leaves: `summary.json`, `table.md` and figures."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from cnn3 import files, plots
from cnn3.data.loading import describe_source
from experiments.support.captions import numbered, title
from experiments.support.document import Picture, Section, markdown
from experiments.support.finished import absent_seeds
from experiments.support.machines import machines
from experiments.support.names import display
from experiments.support.options import Options, command
from experiments.support.tables import Row, Table, mean


@dataclass(frozen=True)
class Report:
    """What an experiment has found.

    Args:
        name: of the experiment, and of its folder.
        title: of the document.
        rows: the runs, for `summary.json`.
        notes: what a reader must know of the numbers, a sentence or two each.
        tables: by heading.
        figures: by file name; what is no plain picture, as an animation, in the bytes of its file.
    """

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str]
    tables: Mapping[str, Table]
    figures: Mapping[str, Figure | bytes]


def run_experiment(work: Callable[[Options], Report], name: str, about: str, args: Sequence[str] | None = None) -> int:
    """Run an experiment from the command line, as `options.command` does, and publish what it found."""
    return command(Options, lambda options: publish(options, work(options)), name, about, args)


def publish(options: Options, report: Report) -> list[Path]:
    """Write an experiment's files, print its tables, and return the files' paths.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = files.make_folder(options.folder(report.name))
    for name, figure in report.figures.items():
        if isinstance(figure, bytes):
            files.write(folder / name, figure)
        else:
            plots.save(figure, folder / name)
    files.write(folder / "table.md", markdown(section(options, report), folder))
    files.write(folder / "summary.json", json.dumps(summarise(options, report), indent=2) + "\n")
    print_report(options, report, Console(highlight=False, markup=False))
    return [folder / name for name in ("summary.json", "table.md", *report.figures)]


def describe_setup(options: Options) -> str:
    """Return in words what a table must say of its numbers: how they were made, and from what images."""
    return f"{options.describe()} {describe_source(options.dataset, options.data_dir)}"


def summarise(options: Options, report: Report) -> dict[str, Any]:
    """Return the content of `summary.json`; `best_epoch` counts from 0, `config` is that of the first seed."""
    return {
        "experiment": report.name,
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
                **row.more,
            }
            for row in report.rows
        ],
    }


def section(options: Options, report: Report) -> Section:
    """Return what an experiment found as a part of a document; its pictures have been written."""
    folder, dataset = options.folder(report.name), options.dataset
    tables = {numbered(report.name, name, name, dataset): table for name, table in report.tables.items()}
    titles = {name: _title(name, figure) for name, figure in report.figures.items()}
    pictures = [Picture(folder / name, numbered(report.name, name, words, dataset)) for name, words in titles.items()]
    paragraphs = [
        *absent(options, report),
        describe_setup(options),
        *made_by(report),
        *report.notes,
        *other_versions(report),
    ]
    return Section(report.name, title(report.name, report.title, dataset), paragraphs, tables, pictures)


def absent(options: Options, report: Report) -> list[str]:
    """Return in a sentence which seeds have no finished run, or nothing."""
    return absent_seeds(options.seeds, {row.name: row.runs for row in report.rows}) if options.only_finished else []


def _title(name: str, figure: Figure | bytes) -> str:
    """Return what a picture shows: its own title, or the words of its file's name."""
    if isinstance(figure, Figure) and figure.get_suptitle():
        return figure.get_suptitle()
    return f"{display(Path(name).stem)}{' (animation)' if name.endswith('.gif') else ''}"


def made_by(report: Report) -> list[str]:
    """Return in a sentence on which machines and by which versions the runs of a report's tables were made."""
    runs = {run.config: run for row in report.rows for run in row.runs}
    return [machines(run.versions for run in runs.values())] if runs else []


def print_report(options: Options, report: Report, console: Console) -> None:
    """Print an experiment's tables, with what a reader must know of them."""
    console.print(f"\n{report.title}", style="bold")
    for paragraph in (*absent(options, report), describe_setup(options), *made_by(report)):
        console.print(paragraph)
    for heading, table in report.tables.items():
        shown = RichTable(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        for i, name in enumerate(table.header):
            shown.add_column(name, justify="left" if i < table.labels else "right")
        for line in table.rows:
            shown.add_row(*line)
        console.print("", shown, "", sep="\n")
    for note in (*report.notes, *other_versions(report)):
        console.print(note)


def other_versions(report: Report) -> list[str]:
    """Return what a reader must know of runs that other code, versions or settings have made, a sentence each."""
    runs = {run.config: run for row in report.rows for run in row.runs}
    counts = Counter(run.others() for run in runs.values())
    return [f"{count} of {len(runs)} runs were made with {others}." for others, count in counts.items() if others]
