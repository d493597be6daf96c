"""The whole study in one command: every experiment but frontier, and one report of them all.

Runs each experiment in turn, as its own command does. A run that several need is trained once, finished runs are
reused, and interrupted ones resumed. The result is `report.html`, one file that opens anywhere, and the same in
Markdown: a verdict on every claim of the original study, and each of its numbers and figures next to ours. The sweeps
(hyperparameters, optimizers, architecture, audit) have most of the runs, so their runs can be shortened separately.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("reproduce"))


from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnn3 import files
from cnn3.cli import UsageError, note
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
from experiments.support.display_names import display_name
from experiments.support.document import Document, Section, html_document, markdown_document
from experiments.support.environment import environment
from experiments.support.finished_runs import UnfinishedError
from experiments.support.headings import section_title
from experiments.support.machines import describe_machines
from experiments.support.options import Options, command
from experiments.support.overview import overview
from experiments.support.publish import (
    Experiment,
    describe_setup,
    print_report,
    section,
    summarise,
    to_json,
    write_files,
)
from experiments.support.report import Report, distinct_runs
from experiments.support.reproduction import MARKDOWN, SWEEPS, Reproduction
from experiments.support.study import BATCH_SIZES
from experiments.support.tables import Table

NAME = "reproduce"
TITLES = {"cifar10": "Three convolutions on CIFAR-10: is the original study reproduced?"}
OTHER_TITLE = "Three convolutions on {}"
HTML = "report.html"
EXPERIMENTS = (
    setup.EXPERIMENT,
    improvements.EXPERIMENT,
    hyperparameters.EXPERIMENT,
    optimizers.EXPERIMENT,
    architecture.EXPERIMENT,
    tuned.EXPERIMENT,
    latent.EXPERIMENT,
    audit.EXPERIMENT,
    differences.EXPERIMENT,
)


def reproduce(options: Reproduction) -> list[Path]:
    """Run every experiment, write one report on all of them, and return the paths of the files.

    Tables are printed after each experiment, JSON at the end: an array of the summaries.

    Raises:
        UsageError: there are too few images for the largest batch or no epochs in the sweeps, or no folder for the
            report in Markdown.
    """
    _check(options)
    paths: list[Path] = []
    reports: dict[str, Report] = {}
    summaries: list[dict[str, Any]] = []
    experiments = experiments_on(options.dataset)
    for number, experiment in enumerate(experiments, 1):
        note(f"\n[{number} of {len(experiments)}] {experiment.name}")
        experiment_options = options.options_for(experiment.name)
        try:
            report = experiment.work(experiment_options)
        except UnfinishedError as error:
            note(error)
            report = unfinished(experiment, error)
        else:
            paths += write_files(experiment_options, report)
            summaries.append(summarise(experiment_options, report))
            if not options.json:
                print_report(experiment_options, report)
        reports[experiment.name] = report
    paths += write(options, build_report(options, reports))
    if options.json:
        print(to_json(summaries))
    return paths


def experiments_on(dataset: str) -> list[Experiment]:
    """Return the experiments on a data set; `differences` needs that of the original study."""
    return [experiment for experiment in EXPERIMENTS if dataset == "cifar10" or experiment.name != differences.NAME]


def unfinished(experiment: Experiment, error: UnfinishedError) -> Report:
    """Return the report of an experiment without finished runs: it only names the missing runs."""
    return Report(experiment.name, experiment.title, [], [f"There are no results here: {error}."], {}, {})


def _check(options: Reproduction) -> None:
    """Check before the first run what only the sweeps and the report use."""
    if options.sweep_epochs is not None and options.sweep_epochs < 1:
        raise UsageError(f"sweep-epochs must be at least 1, not {options.sweep_epochs}")
    if options.markdown is not None and not options.markdown.parent.is_dir():
        raise UsageError(f"markdown: there is no folder {options.markdown.parent}; make it first")
    largest = max(BATCH_SIZES)
    for name, limit in {"limit": options.limit, "sweep-limit": options.sweep_limit}.items():
        if limit is not None and limit < largest:
            raise UsageError(f"{name} must be at least {largest}, the largest batch, not {limit}")


def build_report(options: Reproduction, reports: Mapping[str, Report]) -> list[Section]:
    """Return the sections: the answer, each experiment, and the provenance. No paragraph is repeated."""
    main_options, sweep_options = options.options_for(improvements.NAME), options.options_for(hyperparameters.NAME)
    # differences comments on the results of the others
    compared = {name: report for name, report in reports.items() if name != differences.NAME}
    sections = [overview(main_options, sweep_options, compared, settings(options))]
    paragraphs = {*sections[0].paragraphs, *sections[0].notes}
    for experiment in experiments_on(options.dataset):
        part = experiment_section(options.options_for(experiment.name), reports[experiment.name], experiment)
        new = [paragraph for paragraph in part.paragraphs if paragraph not in paragraphs]
        sections.append(part._replace(paragraphs=new))
        paragraphs |= set(part.paragraphs)
    return [*sections, provenance_section(reports)]


def experiment_section(options: Options, report: Report, experiment: Experiment) -> Section:
    """Return the section of an experiment. Without finished runs, the missing runs are named first."""
    about = [" ".join(part.split()) for part in experiment.about.split("\n\n")[1:]]
    if not report.rows and not report.tables:
        title = section_title(report.name, report.title, options.dataset)
        return Section(report.name, title, [*report.notes, *about], {}, [])
    part = section(options, report)
    return part._replace(paragraphs=[*about, *part.paragraphs])


def settings(options: Reproduction) -> list[str]:
    """Return sentences on how the runs were made, and those of the sweeps if that differs."""
    main_options, sweep_options = options.options_for(improvements.NAME), options.options_for(SWEEPS[0])
    if sweep_options == main_options:
        return [describe_setup(main_options)]
    return [describe_setup(main_options), f"The sweeps ({', '.join(SWEEPS)}): {describe_setup(sweep_options)}"]


def provenance_section(reports: Mapping[str, Report]) -> Section:
    """Return how the report was made: versions, hardware, runs and time."""
    runs = distinct_runs(reports.values())
    seconds = sum(record["seconds"] for run in runs for record in run.history)
    facts = {
        **environment(),
        "runs": str(len(runs)),
        "epochs": f"{sum(len(run.history) for run in runs):,}",
        "time of all epochs, with validation": str(timedelta(seconds=round(seconds))),
    }
    paragraphs = [
        f"The runs. {describe_machines(run.versions for run in runs)}",
        "Versions and hardware in the table are those of the process that wrote this report. Time is the sum over the "
        "runs, without compilation, each on its own machine. The same configuration and seed give the same bits on one "
        "CPU with one version of jaxlib.",
    ]
    table = Table(["what", "value"], [[name, value] for name, value in facts.items()], 2)
    return Section("making", "How it was made", paragraphs, {"Software, hardware and time": table}, [])


def write(options: Reproduction, sections: Sequence[Section]) -> list[Path]:
    """Write the report as HTML and as Markdown, and return the paths of the files."""
    title = TITLES.get(options.dataset) or OTHER_TITLE.format(display_name(options.dataset))
    footer = f"Made by cnn3 {version('cnn3')} with python -m experiments.{NAME}."
    document = Document(title, footer, sections)
    folder = files.make_folder(options.folder(NAME))
    html, markdown = folder / HTML, options.markdown or folder / MARKDOWN
    files.write(html, html_document(document))
    files.write(markdown, markdown_document(document, markdown.parent))
    return [html, markdown]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command(Reproduction, reproduce, NAME, __doc__ or "", args)
