"""What all experiments' figures share: names, and what was trained, on what and how long; and the picture of all."""

import pytest

from cnn3 import OPTIMIZERS, VARIANTS, load
from experiments import architecture, hyperparameters, improvements, tuned
from experiments.support import overview_figure, reported
from experiments.support.comparison import verdicts
from experiments.support.figures import COMPARABLE, TRAINING_IMAGES, original_numbers, subtitle
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report
from experiments.support.tables import Row
from tests.helpers import fabricated
from tests.helpers.drawn import legend, written

CIFAR10 = Options()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            CIFAR10,
            "Trained on 45,000 images of CIFAR-10 for at most 150 epochs (early stopping with patience 10), "
            "1 seed (3136).",
        ),
        (
            Options(dataset="digits", limit=256, epochs=3, seeds=2, protocol="published", precision="bf16"),
            "Trained on 256 images of Digits for 3 epochs, 2 seeds (3136 to 3137), published protocol, bfloat16.",
        ),
        (Options(dataset="digits", epochs=1), "Trained on 1,294 images of Digits for 1 epoch, 1 seed (3136)."),
        (
            Options(epochs=11),
            "Trained on 45,000 images of CIFAR-10 for at most 11 epochs (early stopping with patience 10), "
            "1 seed (3136).",
        ),
    ],
)
def test_a_subtitle_says_on_what_was_trained_how_long_and_with_which_seeds(options, said):
    assert subtitle(options) == said


def test_the_training_images_are_those_of_the_data():
    assert TRAINING_IMAGES["digits"] == len(load("digits").train.labels)
    assert f"{TRAINING_IMAGES['cifar10'] // 1000}k" in reported.REPORTED_SETTINGS["split"].printed


def test_names_are_those_that_papers_use():
    assert list(map(display, VARIANTS)) == ["Baseline", "Batch norm", "Dropout", "Dense block"]
    assert list(map(display, OPTIMIZERS)) == ["SGD", "SGD with momentum", "RMSprop", "Adam", "AdamW"]
    assert display("batch_norm + dropout + dense") == "Batch norm + dropout + dense block"
    assert display(hyperparameters.name((0.0001, 64))) == "Learning rate 0.0001, batch size 64"
    assert (display("cifar10"), display("train"), display("")) == ("CIFAR-10", "Training", "")


def test_no_row_keeps_an_identifier_for_a_name():
    for name in (*architecture.MODELS, *OPTIMIZERS, *map(hyperparameters.name, hyperparameters.GRID)):
        assert "_" not in display(name)
        assert display(name)[0] == display(name)[0].upper()


@pytest.mark.parametrize(
    ("protocol", "train", "validation"), [("corrected", 0.77595, 0.8206), ("published", 0.775, 0.8014)]
)
def test_numbers_beside_curves_are_the_original_studys(protocol, train, validation):
    """Figure 3 has 0.7750 of 45,056 and 0.8014 of 5,120; a run of the published protocol divides likewise."""
    run = fabricated.run(Options(protocol=protocol).config(), [0.8])
    numbers = original_numbers(Row("baseline", [run], reported.IMPROVEMENTS["baseline"]))
    assert {at: number.value for at, number in numbers.items()} == {
        ("train", "accuracy"): pytest.approx(train, abs=6e-5),
        ("train", "loss"): 0.64,
        ("validation", "accuracy"): validation,
        ("validation", "loss"): 0.5361,
    }
    assert original_numbers(Row("baseline", [run], None)) == {}


def reports(*seeds: float) -> dict[str, Report]:
    """Return reports whose runs all have these best validation accuracies, one a seed; test is 0.01 less."""
    runs = [fabricated.run(CIFAR10.config(seed=3136 + i), [0.1, accuracy]) for i, accuracy in enumerate(seeds)]
    names = {
        improvements.NAME: list(VARIANTS),
        hyperparameters.NAME: list(map(hyperparameters.name, hyperparameters.GRID)),
        tuned.NAME: [tuned.NAME],
    }
    return {of: Report(of, "", [Row(name, runs, None) for name in rows], [], {}, {}) for of, rows in names.items()}


def test_the_glance_has_every_accuracy_by_which_the_study_decides():
    """Differences are from what the printed numbers mean: test accuracy by 10,048 images, validation's by 5,056."""
    results = reports(0.8216)
    figure = overview_figure.overview_figure(CIFAR10, CIFAR10, results, verdicts(results))
    tests, settings = figure.axes
    assert [label.get_text() for label in tests.get_yticklabels()] == [*map(display, VARIANTS), "Tuned model"]
    assert settings.get_yticklabels()[6].get_text() == "0.0001, 64"
    assert len(settings.get_yticklabels()) == 9
    differences = [text.get_text() for text in tests.texts]
    assert differences == ["-0.6", "-1.9", "-0.5", "+5.3", "-2.6"]  # 0.8116 less figures 3, 6, 9, 12 and section 5
    assert [text.get_text() for text in settings.texts][6] == "-2.2"  # 0.8216 less 0.8440
    assert written(figure) == f"{subtitle(CIFAR10)} {COMPARABLE}"
    assert "original study (one seed: no interval)" in legend(figure)


def test_the_glance_tells_runs_of_other_lengths_apart():
    short = Options(epochs=3, limit=15_000)
    results = reports(0.8, 0.82, 0.84)
    figure = overview_figure.overview_figure(CIFAR10, short, results, verdicts(results))
    assert written(figure) == f"Above: {subtitle(CIFAR10)} Below: {subtitle(short)} {COMPARABLE}"
    assert "original study, within the interval" in legend(figure)


def test_the_glance_compares_nothing_of_another_data_set():
    figure = overview_figure.measured_figure(Options(dataset="digits"), reports(0.8))
    assert legend(figure) == ["here"]
    assert figure.get_suptitle() == "Test accuracy on Digits"
    assert not any(axes.texts for axes in figure.axes)
