"""The output of an experiment: `summary.json`, `table.md`, figures, and the tables on the screen."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from cnn3 import DataError, files, plots
from cnn3.data.loading import describe_source
from experiments.support.display_names import display_title
from experiments.support.document import FOLDED, Picture, Section, markdown
from experiments.support.finished_runs import describe_missing_seeds
from experiments.support.headings import caption, section_title
from experiments.support.machines import describe_machines
from experiments.support.mismatches import describe_mismatches
from experiments.support.options import Options, command
from experiments.support.report import Report
from experiments.support.tables import Table, mean
from experiments.support.verdict_tables import statements_table

STATEMENTS = "What the original study says"  # heading of the table with the verdicts


class Experiment(NamedTuple):
    """An experiment and its command line.

    Args:
        name: the name of its module, as in `python -m experiments.NAME`.
        title: the title of its section.
        about: what `--help` says first.
        work: runs it.
    """

    name: str
    title: str
    about: str
    work: Callable[[Options], Report]

    def main(self, args: Sequence[str] | None = None) -> int:
        """Run the command line and return the exit status, as `options.command` does."""
        return command(Options, lambda options: publish(options, self.work(options)), self.name, self.about, args)


def publish(options: Options, report: Report) -> list[Path]:
    """Write the files of an experiment, print its tables or its summary, and return the paths of the files.

    Raises:
        OutputError: a file cannot be written.
    """
    paths = write_files(options, report)
    if options.json:
        print(to_json(summarise(options, report)))
    else:
        print_report(options, report)
    return paths


def write_files(options: Options, report: Report) -> list[Path]:
    """Write the files of an experiment, and return their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = files.make_folder(options.folder(report.name))
    for name, figure in report.figures.items():
        if isinstance(figure, bytes):
            files.write(folder / name, figure)
        else:
            plots.save(figure, folder / name)
    part = section(options, report)._replace(tables=_with_captions(options, report, all_tables(report)))
    files.write(folder / "table.md", markdown(part, folder))
    files.write(folder / "summary.json", f"{to_json(summarise(options, report))}\n")
    return [folder / name for name in ("summary.json", "table.md", *report.figures)]


def to_json(summary: Any) -> str:
    """Return one or more summaries as `summary.json` has them."""
    return json.dumps(summary, indent=2)


def describe_setup(options: Options) -> str:
    """Return how the runs were made, and from which images, in sentences.

    Raises:
        DataError: the images cannot be read; finished runs do not need them.
    """
    try:
        source = describe_source(options.dataset, options.data_dir)
    except DataError:
        if not options.only_finished:
            raise
        source = "Its images cannot be read on this machine, so it is not known here how they were processed."
    return f"{options.describe()} {source}"


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
                "seeds": [{"seed": run.config.seed, **run.summary.to_dict()} for run in row.runs],
                "mean": mean(row.runs),
                "reported": row.reported and row.reported.to_json(),
                **row.extra,
            }
            for row in report.rows
        ],
    }


def all_tables(report: Report) -> dict[str, Table]:
    """Return the tables of an experiment, and the verdicts on the study's statements before those that are folded."""
    open_tables = {heading: table for heading, table in report.tables.items() if heading not in FOLDED}
    statements = statements_table(report.verdicts)
    return {**open_tables, **({STATEMENTS: statements} if statements.rows else {}), **report.tables}


def section(options: Options, report: Report) -> Section:
    """Return the section of an experiment, without the verdicts; its pictures have been written."""
    folder = options.folder(report.name)
    pictures = [
        Picture(folder / name, caption(report.name, name, _picture_title(name, figure), options.dataset))
        for name, figure in report.figures.items()
    ]
    paragraphs = [*describe_runs(options, report), *report.notes, *_mismatches(report)]
    heading = section_title(report.name, report.title, options.dataset)
    return Section(report.name, heading, paragraphs, _with_captions(options, report, report.tables), pictures)


def _with_captions(options: Options, report: Report, tables: Mapping[str, Table]) -> dict[str, Table]:
    return {caption(report.name, name, name, options.dataset): table for name, table in tables.items()}


def _picture_title(name: str, figure: Figure | bytes) -> str:
    """Return the title of a figure, or else one made from its file name."""
    if isinstance(figure, Figure) and figure.get_suptitle():
        return figure.get_suptitle()
    return f"{display_title(Path(name).stem)}{' (animation)' if name.endswith('.gif') else ''}"


def describe_runs(options: Options, report: Report) -> list[str]:
    """Return which seeds are missing, how the runs were made, and on which machines, in paragraphs."""
    runs = report.runs
    machines = [describe_machines(run.versions for run in runs)] if runs else []
    return [*missing_seeds(options, report), describe_setup(options), *machines]


def missing_seeds(options: Options, report: Report) -> list[str]:
    """Return a sentence that names the seeds without a finished run, or nothing."""
    if not options.only_finished:
        return []
    return describe_missing_seeds(options.seeds, {row.name: row.runs for row in report.rows})


def print_report(options: Options, report: Report) -> None:
    """Print the tables of an experiment and what a reader must know about them."""
    console = Console(highlight=False, markup=False)
    console.print(f"\n{report.title}", style="bold")
    for paragraph in describe_runs(options, report):
        console.print(paragraph)
    for heading, table in all_tables(report).items():
        printed = RichTable(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        for i, name in enumerate(table.header):
            printed.add_column(name, justify="left" if i < table.labels else "right")
        for line in table.rows:
            printed.add_row(*line)
        console.print("", printed, "", sep="\n")
    for note in (*report.notes, *_mismatches(report)):
        console.print(note)


def _mismatches(report: Report) -> list[str]:
    return [f"{mismatch}." for mismatch in describe_mismatches(report.runs, len(report.runs))]
