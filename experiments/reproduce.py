"""The whole study in one command: every experiment, and one report of them all.

Runs each experiment in turn, as its own command does; a run that several need is trained once, what is done is only
read, and what was cut off goes on. Ends in `report.html`, one file that opens anywhere, and the same in Markdown: every
number and figure of the report beside what was measured. The runs of the sweeps (hyperparameters, optimizers,
architecture, audit) are 28 of the 31, so they can be shortened on their own.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from cnn3 import files, plots
from cnn3.cli import COUNT, UsageError
from experiments import architecture, audit, comparison, hyperparameters, improvements, latent, optimizers, setup, tuned
from experiments.common import Options, command
from experiments.comparison import INTERVAL, Reports
from experiments.document import Picture, Section, html_document, markdown_document
from experiments.environment import environment
from experiments.glance import glance
from experiments.publish import Report, publish, section, setting
from experiments.reported import AS_PUBLISHED
from experiments.tables import Table

NAME = "reproduce"
TITLE = "Three convolutions on {}: the report, done again"
WORDS = "What the report says"  # of an experiment, which the overview tells of all
HTML, MARKDOWN = "report.html", "report.md"


class Experiment(NamedTuple):
    """An experiment: its name, what it is about, and how it is done."""

    name: str
    about: str
    work: Callable[[Options], Report]


EXPERIMENTS = (
    Experiment(setup.NAME, setup.__doc__ or "", setup.setup),
    Experiment(improvements.NAME, improvements.__doc__ or "", improvements.improvements),
    Experiment(hyperparameters.NAME, hyperparameters.__doc__ or "", hyperparameters.hyperparameters),
    Experiment(optimizers.NAME, optimizers.__doc__ or "", optimizers.optimizers),
    Experiment(architecture.NAME, architecture.__doc__ or "", architecture.architecture),
    Experiment(tuned.NAME, tuned.__doc__ or "", tuned.tuned),
    Experiment(latent.NAME, latent.__doc__ or "", latent.latent),
    Experiment(audit.NAME, audit.__doc__ or "", audit.audit),
)
SWEEPS = (hyperparameters.NAME, optimizers.NAME, architecture.NAME, audit.NAME)

_AS_ALL = tyro.conf.arg(help_behavior_hint="(default: as all)")


@dataclass(frozen=True)
class Reproduction(Options):
    """The command line.

    Args:
        sweep_epochs: the most epochs of a run of the sweeps.
        sweep_limit: train the runs of the sweeps on the first N training images only.
        markdown: the report in Markdown; the links to its pictures fit the place.
    """

    sweep_epochs: Annotated[int | None, COUNT, _AS_ALL] = None
    sweep_limit: Annotated[int | None, COUNT, _AS_ALL] = None
    markdown: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=f"(default: {MARKDOWN} in the output folder)")
    ] = None

    def of(self, experiment: str) -> Options:
        """Return the options of one of the experiments."""
        own = Options(**{name: getattr(self, name) for name in Options.__dataclass_fields__})
        if experiment == audit.NAME:
            own = replace(own, protocol="corrected")  # it runs both
        if experiment not in SWEEPS:
            return own
        return replace(own, epochs=self.sweep_epochs or self.epochs, limit=self.sweep_limit or self.limit)


def reproduce(options: Reproduction) -> list[Path]:
    """Do every experiment, write the report of all, and return the files' paths.

    Raises:
        UsageError: too few images for the largest batch.
    """
    _check(options)
    written: list[Path] = []
    reports: dict[str, Report] = {}
    for number, experiment in enumerate(EXPERIMENTS, 1):
        print(f"\n[{number} of {len(EXPERIMENTS)}] {experiment.name}")
        given = options.of(experiment.name)
        report = experiment.work(given)
        written += publish(given, report)
        reports[experiment.name] = report
    return [*written, *write(options, compose(options, reports))]


def _check(options: Reproduction) -> None:
    """Refuse before the first run what the sweeps could not do in the end."""
    most = max(hyperparameters.BATCH_SIZES)
    for name, limit in {"limit": options.limit, "sweep-limit": options.sweep_limit}.items():
        if limit is not None and limit < most:
            raise UsageError(f"{name} must be at least {most}, the largest batch, not {limit}")


def compose(options: Reproduction, reports: Reports) -> list[Section]:
    """Return the report: what was found in all, each experiment, and how it was done."""
    parts = [overview(options, reports)]
    for experiment in EXPERIMENTS:
        of = section(options.of(experiment.name), reports[experiment.name])
        about = [" ".join(part.split()) for part in experiment.about.split("\n\n")[1:]]
        tables = {heading: table for heading, table in of.tables.items() if heading != WORDS}
        parts.append(of._replace(paragraphs=[*about, *of.paragraphs], tables=tables))
    return [*parts, making(options, reports)]


def overview(options: Reproduction, reports: Reports) -> Section:
    """Return every result of the report beside ours."""
    comparable = options.dataset == "cifar10"
    path = options.folder(NAME) / "glance.png"
    files.make_folder(path.parent)
    picture = glance(options.of(improvements.NAME), options.of(hyperparameters.NAME), reports, comparable)
    plots.save(picture, path)
    others = "" if comparable else f" The report has no numbers of {options.dataset}, so they are not to be compared."
    sweeps = options.of(SWEEPS[0])
    whole = options.of(improvements.NAME)
    shorter = [f"The sweeps ({', '.join(SWEEPS)}): {setting(sweeps)}"] if sweeps != whole else []
    none = "" if options.seeds > 1 else " Here is one seed, so there are none: --seeds 5 gives them."
    paragraphs = [
        "How far does a convolutional network get on CIFAR-10 with exactly three convolutions? A study of 2021 (“the "
        "report”) asked that in PyTorch. Here is all of it done again in JAX, each of its numbers and figures beside "
        "what was measured.",
        setting(whole),
        *shorter,
        f"The report's results are of CIFAR-10, {AS_PUBLISHED}.{others} Ours are means over the seeds, of the best "
        "epoch's weights.",
        INTERVAL + none,
    ]
    tables = {
        "Every result": comparison.numbers_table(reports, comparable),
        "Every statement on results": comparison.statements_table(reports),
    }
    return Section("overview", "Results at a glance", paragraphs, tables, [Picture(path, picture.get_suptitle())])


def making(options: Reproduction, reports: Reports) -> Section:
    """Return how the report was made: versions, hardware, runs and time."""
    runs = {run.config: run for report in reports.values() for row in report.rows for run in row.runs}
    seconds = sum(record["seconds"] for run in runs.values() for record in run.history)
    facts = {
        **environment(),
        "runs": str(len(runs)),
        "epochs": f"{sum(len(run.history) for run in runs.values()):,}",
        "time of all epochs, with validation": str(timedelta(seconds=round(seconds))),
    }
    paragraphs = [
        "Versions and hardware are those of the process that wrote this report. Time is the sum over the runs, without "
        "compilation, each on the machine that it ran on. The same configuration and seed give the same bits on one "
        "CPU with one version of jaxlib."
    ]
    table = Table(["what", "here"], [[name, value] for name, value in facts.items()], 2)
    return Section("making", "How it was made", paragraphs, {"Software, hardware and time": table}, [])


def write(options: Reproduction, sections: Sequence[Section]) -> list[Path]:
    """Write the report as HTML and as Markdown, and return the files' paths."""
    title = TITLE.format({"cifar10": "CIFAR-10"}.get(options.dataset, options.dataset))
    folder = files.make_folder(options.folder(NAME))
    html, markdown = folder / HTML, options.markdown or folder / MARKDOWN
    files.write(html, html_document(title, sections))
    files.write(markdown, markdown_document(title, sections, markdown.parent))
    return [html, markdown]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command(Reproduction, reproduce, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
