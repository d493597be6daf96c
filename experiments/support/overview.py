"""The first section of the report: the answer, the verdicts and one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnn3 import files, plots
from experiments.support.display_names import display_name, pluralize
from experiments.support.document import Picture, Section
from experiments.support.machines import describe_devices
from experiments.support.options import Options
from experiments.support.overview_figure import comparison_figure, measured_figure
from experiments.support.report import Report, distinct_runs
from experiments.support.reported import CITATION, comparable_note
from experiments.support.reproduction import SWEEPS
from experiments.support.run import Run
from experiments.support.uncertainty import EPOCHS_FACTOR, LEVEL, MARGINS, SOURCE
from experiments.support.verdict_tables import counts_table, failing, headline, numbers_table, statements_table
from experiments.support.verdicts import complete

NAME, TITLE, PICTURE = "overview", "The answer", "glance.png"
FOLDER = "reproduce"
QUESTION = (
    "How far does a convolutional network get on CIFAR-10 with exactly three convolutions? The original study "
    f"({CITATION}) asked this in PyTorch; here it is repeated in JAX."
)
RULES = (
    f"How a verdict is reached. A printed number holds within {100 * MARGINS['accuracy']:g} points of accuracy or "
    f"{MARGINS['loss']:g} of loss. It does not hold if it is missed by more than that and by more than chance "
    "explains. A comparison holds if the difference has the stated direction and exceeds what chance explains. It does "
    f"not hold if the difference is as clear the other way round. Chance is taken at {LEVEL:.0%}. Numbers of epochs of "
    f"two single runs must differ by a factor of {EPOCHS_FACTOR:g}. Everything else is undecided. Only runs on all "
    "training images, for up to 150 epochs, are judged."
)


def overview(main: Options, sweeps: Options, reports: Mapping[str, Report], settings: Sequence[str]) -> Section:
    """Return the first section: verdicts on the original study's data set, accuracies alone on another.

    Args:
        main: how the improvements and the tuned run were trained.
        sweeps: how the sweeps were trained.
        reports: the results by experiment.
        settings: how both were made, in sentences.
    """
    path = files.make_folder(main.folder(FOLDER)) / PICTURE
    if main.dataset == "cifar10":
        return _answer(main, sweeps, reports, settings, path)
    return _measured(main, sweeps, reports, settings, path)


def _answer(
    main: Options, sweeps: Options, reports: Mapping[str, Report], settings: Sequence[str], path: Path
) -> Section:
    verdicts = complete(verdict for report in reports.values() for verdict in report.verdicts)
    rows = {name: report.rows for name, report in reports.items()}
    picture = comparison_figure(main, sweeps, rows, verdicts)
    plots.save(picture, path)
    tables = {
        "Verdicts by kind of claim": counts_table(verdicts),
        "The verdict on each statement": statements_table(verdicts),
        "The verdict on each printed number": numbers_table(verdicts, rows),
    }
    differences = describe_differences(main, " ".join(settings))
    notes = [RULES, SOURCE, comparable_note(main.protocol), differences, *settings]
    runs = distinct_runs(reports.values())
    paragraphs = [*headline(verdicts), describe_compute(runs), *failing(verdicts), QUESTION]
    return Section(NAME, TITLE, paragraphs, tables, [Picture(path, picture.get_suptitle())], notes)


def _measured(
    main: Options, sweeps: Options, reports: Mapping[str, Report], settings: Sequence[str], path: Path
) -> Section:
    rows, sweep_rows = (
        [row for name, report in reports.items() if (name in SWEEPS) == swept for row in report.rows]
        for swept in (False, True)
    )
    picture = measured_figure(main, sweeps, rows, sweep_rows)
    plots.save(picture, path)
    data = display_name(main.dataset)
    paragraphs = [
        f"The original study has results on CIFAR-10 only, so nothing on {data} is compared with it.",
        describe_compute(distinct_runs(reports.values())),
        *settings,
    ]
    return Section(NAME, TITLE, paragraphs, {}, [Picture(path, picture.get_suptitle())])


def describe_differences(options: Options, images: str) -> str:
    """Return a sentence on how the original runs differ from ours; `images` describes ours."""
    causes = [
        *(["our images went through JPEG once"] if "JPEG" in images else []),
        *(["it validates in training mode, ours in inference mode"] if options.protocol == "corrected" else []),
        "it has a single seed, of another random generator",
    ]
    return f"What else separates its runs from ours: {'; '.join(causes)}."


def describe_compute(runs: Sequence[Run]) -> str:
    """Return a sentence on the number of runs and epochs, the time that they took, and the devices."""
    if not runs:
        return "Nothing has been trained for it."
    epochs = sum(len(run.history) for run in runs)
    hours = sum(record["seconds"] for run in runs for record in run.history) / 3600
    seeds = len({run.config.seed for run in runs})
    return (
        f"This rests on {pluralize(len(runs), 'run')} with {pluralize(seeds, 'seed')}: {pluralize(epochs, 'epoch')}, "
        f"{hours:.1f} hours of training and validation, added up over runs that may have shared a device. "
        f"Device: {describe_devices(run.versions for run in runs)}."
    )
