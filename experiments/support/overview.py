"""The first section of the report: the answer in words, the verdicts, and one picture."""

from collections.abc import Sequence
from pathlib import Path

from cnn3 import files, plots
from experiments.support.comparison import Reports, compute_used, rows_of, runs_of, runs_told_apart, verdicts
from experiments.support.document import Picture, Section
from experiments.support.names import shown
from experiments.support.options import Options
from experiments.support.overview_figure import measured_figure, overview_figure
from experiments.support.reported import CITATION, comparable_note
from experiments.support.uncertainty import EPOCHS_FACTOR, LEVEL, MARGINS, SOURCE
from experiments.support.verdict_tables import counts_table, failing, headline, numbers_table, statements_table

NAME, TITLE, PICTURE = "overview", "The answer", "glance.png"
FOLDER = "reproduce"
QUESTION = (
    "How far does a convolutional network get on CIFAR-10 with exactly three convolutions? The original study "
    f"({CITATION}) asked that in PyTorch; here it is repeated in JAX."
)
RULES = (
    f"How a verdict is reached. A printed number holds within {100 * MARGINS['accuracy']:g} points of accuracy or "
    f"{MARGINS['loss']:g} of loss; it does not hold if it is missed by more than that and more than chance explains. "
    "A comparison holds if the difference has the stated direction and exceeds what chance explains, and does not hold "
    f"if it is as clear the other way round. Chance is taken at {LEVEL:.0%}. Numbers of epochs of two single runs must "
    f"differ by a factor of {EPOCHS_FACTOR:g}. Everything else is undecided. Only runs on all training images, for up "
    "to 150 epochs, are judged."
)


def overview(whole: Options, sweeps: Options, reports: Reports, settings: Sequence[str]) -> Section:
    """Return the answer: verdicts on the original study's data set, accuracies alone on another.

    Args:
        whole: how the improvements and the tuned run were trained.
        sweeps: how the sweeps were trained.
        reports: what was found.
        settings: both in words.
    """
    path = files.make_folder(whole.folder(FOLDER)) / PICTURE
    if whole.dataset == "cifar10":
        return _answer(whole, sweeps, reports, settings, path)
    return _measured(whole, reports, settings, path)


def _answer(whole: Options, sweeps: Options, reports: Reports, settings: Sequence[str], path: Path) -> Section:
    found = verdicts(reports)
    picture = overview_figure(whole, sweeps, reports, found)
    plots.save(picture, path)
    tables = {
        "Verdicts by kind of claim": counts_table(found),
        "The verdict on each statement": statements_table(found),
        "The verdict on each printed number": numbers_table(found, rows_of(reports)),
    }
    notes = [
        RULES,
        SOURCE,
        comparable_note(whole.protocol),
        runs_told_apart(whole, " ".join(settings)),
        *settings,
    ]
    paragraphs = [*headline(found), compute_used(runs_of(reports)), *failing(found), QUESTION]
    return Section(NAME, TITLE, paragraphs, tables, [Picture(path, picture.get_suptitle())], notes)


def _measured(whole: Options, reports: Reports, settings: Sequence[str], path: Path) -> Section:
    picture = measured_figure(whole, reports)
    plots.save(picture, path)
    paragraphs = [
        f"The original study has results on CIFAR-10 only, so nothing on {shown(whole.dataset)} is compared with it.",
        compute_used(runs_of(reports)),
        *settings,
    ]
    return Section(NAME, TITLE, paragraphs, {}, [Picture(path, picture.get_suptitle())])
