"""The whole study in one command: every experiment, and one report of them all.

Runs each experiment in turn, as its own command does; a run that several need is trained once, finished runs are
reused, and interrupted ones resumed. Ends in `report.html`, one file that opens anywhere, and the same in Markdown: a
verdict on every claim of the original study, and each of its numbers and figures beside what was measured. The runs of
the sweeps (hyperparameters, optimizers, architecture, audit) are most of them, so they can be shortened on their own.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from cnn3 import files
from cnn3.cli import INT_OPTION, UsageError
from experiments import (
    architecture,
    audit,
    differences,
    hyperparameters,
    improvements,
    latent,
    optimizers,
    setup,
    tuned,
)
from experiments.support.captions import title
from experiments.support.comparison import Reports, runs_of
from experiments.support.document import Document, Section, html_document, markdown_document
from experiments.support.environment import environment
from experiments.support.finished import UnfinishedError
from experiments.support.machines import machines
from experiments.support.names import shown
from experiments.support.options import Options, command
from experiments.support.overview import overview
from experiments.support.publish import Report, describe_setup, publish, section
from experiments.support.tables import Table
from experiments.support.verdict_tables import CLAIMED

NAME = "reproduce"
TITLES = {"cifar10": "Three convolutions on CIFAR-10: is the original study reproduced?"}
OTHER_TITLE = "Three convolutions on {}"
HTML, MARKDOWN = "report.html", "report.md"


class Experiment(NamedTuple):
    """An experiment: its name and title, what it is about, and how it is done."""

    name: str
    title: str
    about: str
    work: Callable[[Options], Report]


EXPERIMENTS = (
    Experiment(setup.NAME, setup.TITLE, setup.__doc__ or "", setup.setup),
    Experiment(improvements.NAME, improvements.TITLE, improvements.__doc__ or "", improvements.improvements),
    Experiment(
        hyperparameters.NAME, hyperparameters.TITLE, hyperparameters.__doc__ or "", hyperparameters.hyperparameters
    ),
    Experiment(optimizers.NAME, optimizers.TITLE, optimizers.__doc__ or "", optimizers.optimizers),
    Experiment(architecture.NAME, architecture.TITLE, architecture.__doc__ or "", architecture.architecture),
    Experiment(tuned.NAME, tuned.TITLE, tuned.__doc__ or "", tuned.tuned),
    Experiment(latent.NAME, latent.TITLE, latent.__doc__ or "", latent.latent),
    Experiment(audit.NAME, audit.TITLE, audit.__doc__ or "", audit.audit),
    Experiment(differences.NAME, differences.TITLE, differences.__doc__ or "", differences.differences),
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

    sweep_epochs: Annotated[int | None, INT_OPTION, _AS_ALL] = None
    sweep_limit: Annotated[int | None, INT_OPTION, _AS_ALL] = None
    markdown: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=f"(default: {MARKDOWN} in the output folder)")
    ] = None

    def options_for(self, experiment: str) -> Options:
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
    experiments = experiments_on(options.dataset)
    for number, experiment in enumerate(experiments, 1):
        print(f"\n[{number} of {len(experiments)}] {experiment.name}")
        given = options.options_for(experiment.name)
        try:
            report = experiment.work(given)
        except UnfinishedError as error:
            print(error)
            report = unfinished(experiment, error)
        else:
            written += publish(given, report)
        reports[experiment.name] = report
    return [*written, *write(options, build_report(options, reports))]


def experiments_on(dataset: str) -> list[Experiment]:
    """Return the experiments on a data set: only on its own can results differ from the original study's."""
    return [experiment for experiment in EXPERIMENTS if dataset == "cifar10" or experiment.name != differences.NAME]


def unfinished(experiment: Experiment, error: UnfinishedError) -> Report:
    """Return what stands for an experiment whose runs have not finished: no results, and which runs are missing."""
    return Report(experiment.name, experiment.title, [], [f"There are no results here: {error}."], {}, {})


def _check(options: Reproduction) -> None:
    """Refuse before the first run what the sweeps could not do in the end."""
    most = max(hyperparameters.BATCH_SIZES)
    for name, limit in {"limit": options.limit, "sweep-limit": options.sweep_limit}.items():
        if limit is not None and limit < most:
            raise UsageError(f"{name} must be at least {most}, the largest batch, not {limit}")


def build_report(options: Reproduction, reports: Reports) -> list[Section]:
    """Return the report: the answer, each experiment, and how it was made; what has been said is not said again."""
    whole, sweeps = options.options_for(improvements.NAME), options.options_for(hyperparameters.NAME)
    judged = {name: report for name, report in reports.items() if name != differences.NAME}  # it explains
    parts = [overview(whole, sweeps, judged, settings(options))]
    said = {*parts[0].paragraphs, *parts[0].notes}
    for experiment in experiments_on(options.dataset):
        part = experiment_section(options.options_for(experiment.name), reports[experiment.name], experiment)
        parts.append(part._replace(paragraphs=[words for words in part.paragraphs if words not in said]))
        said |= set(part.paragraphs)
    return [*parts, provenance_section(reports)]


def experiment_section(options: Options, report: Report, experiment: Experiment) -> Section:
    """Return an experiment's section; if its runs are not there, that is the first thing said."""
    about = [" ".join(part.split()) for part in experiment.about.split("\n\n")[1:]]
    if not report.rows and not report.tables:
        heading = title(report.name, report.title, options.dataset)
        return Section(report.name, heading, [*report.notes, *about], {}, [])
    whole = section(options, report)
    tables = {heading: table for heading, table in whole.tables.items() if heading != CLAIMED}
    return whole._replace(paragraphs=[*about, *whole.paragraphs], tables=tables)


def settings(options: Reproduction) -> list[str]:
    """Return in words how the runs were made, and those of the sweeps if differently."""
    sweeps, whole = options.options_for(SWEEPS[0]), options.options_for(improvements.NAME)
    shorter = [f"The sweeps ({', '.join(SWEEPS)}): {describe_setup(sweeps)}"] if sweeps != whole else []
    return [describe_setup(whole), *shorter]


def provenance_section(reports: Reports) -> Section:
    """Return how the report was made: versions, hardware, runs and time."""
    runs = runs_of(reports)
    seconds = sum(of["seconds"] for run in runs for of in run.history)
    facts = {
        **environment(),
        "runs": str(len(runs)),
        "epochs": f"{sum(len(run.history) for run in runs):,}",
        "time of all epochs, with validation": str(timedelta(seconds=round(seconds))),
    }
    paragraphs = [
        f"The runs. {machines(run.record for run in runs)}",
        "Versions and hardware in the table are those of the process that wrote this report. Time is the sum over the "
        "runs, without compilation, each on the machine that it ran on. The same configuration and seed give the same "
        "bits on one CPU with one version of jaxlib.",
    ]
    table = Table(["what", "value"], [[name, value] for name, value in facts.items()], 2)
    return Section("making", "How it was made", paragraphs, {"Software, hardware and time": table}, [])


def write(options: Reproduction, sections: Sequence[Section]) -> list[Path]:
    """Write the report as HTML and as Markdown, and return the files' paths."""
    heading = TITLES.get(options.dataset) or OTHER_TITLE.format(shown(options.dataset))
    made = f"Made by cnn3 {version('cnn3')} with python -m experiments.{NAME}."
    document = Document(heading, made, sections)
    folder = files.make_folder(options.folder(NAME))
    html, markdown = folder / HTML, options.markdown or folder / MARKDOWN
    files.write(html, html_document(document))
    files.write(markdown, markdown_document(document, markdown.parent))
    return [html, markdown]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command(Reproduction, reproduce, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
