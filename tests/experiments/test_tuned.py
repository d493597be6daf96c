"""The tuned run: confusion, calibration, mistakes, and the experiment from its command line to its files."""

import importlib
import json

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.metrics import confusion_matrix

from cnn3 import plots
from cnn3.analysis.calibration import BINS, calibration_error, confident_mistakes, confusion, reliability
from experiments.support.options import Options
from experiments.tuned import (
    Predictions,
    calibration,
    calibration_table,
    classes_table,
    main,
    make_figures,
    mistakes_shown,
    notes,
    to_json,
)
from tests.helpers.processes import python

experiment = importlib.import_module("experiments.tuned")
FIGURES = {"confusion.png", "reliability.png", "mistakes.png"}
CLASSES = ("plane", "car", "bird")


def predictions(seed: int = 0, count: int = 200) -> Predictions:
    """Return predictions that are correct more often than not, with random images for the mistakes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    probabilities = softmax(2 * np.eye(3)[labels] + rng.normal(size=(count, 3)) * 2, axis=1)
    mistakes = confident_mistakes(probabilities, labels, 5)
    return Predictions(probabilities, labels, mistakes, rng.integers(0, 256, (len(mistakes), 32, 32, 3), np.uint8))


# Measures


@pytest.mark.parametrize("count", [1, 5, 500])
def test_confusion_is_that_of_scikit_learn(count):
    labels, predicted = np.random.default_rng(count).integers(0, 10, (2, count))
    assert np.array_equal(confusion(labels, predicted, 10), confusion_matrix(labels, predicted, labels=range(10)))


def test_calibration_by_hand():
    # two classes; confidences .6 .6 .9 .95 1; the first, third and last predictions are correct
    second = np.array([0.6, 0.4, 0.9, 0.05, 1.0])
    probabilities = np.stack([1 - second, second], 1)
    labels = np.array([1, 1, 1, 1, 1])
    bins = reliability(probabilities, labels, bins=10)
    assert bins.images.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]  # (.5, .6], (.8, .9], (.9, 1]
    np.testing.assert_allclose(bins.confidence[[5, 8, 9]], [0.6, 0.9, 0.975])
    np.testing.assert_allclose(bins.accuracy[[5, 8, 9]], [0.5, 1.0, 0.5])
    assert np.isnan(bins.accuracy[0])
    assert calibration_error(bins) == pytest.approx((2 * 0.1 + 1 * 0.1 + 2 * 0.475) / 5)


def test_calibration_error_follows_its_formula():
    run = predictions()
    confidence, correct = run.probabilities.max(1), run.probabilities.argmax(1) == run.labels
    error = 0.0
    for low in range(BINS):
        inside = [i for i, value in enumerate(confidence) if low / BINS < value <= (low + 1) / BINS]
        if inside:
            error += (
                len(inside) / len(correct) * abs(float(np.mean(correct[inside])) - float(np.mean(confidence[inside])))
            )
    assert calibration_error(reliability(run.probabilities, run.labels)) == pytest.approx(error)
    assert reliability(run.probabilities, run.labels).images.sum() == 200


def test_predictions_as_accurate_as_confident_are_calibrated():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200_000)
    probabilities = np.stack([confidence, 1 - confidence], 1)
    labels = (rng.uniform(size=200_000) > confidence).astype(int)
    assert calibration_error(reliability(probabilities, labels)) < 0.01
    sure = np.stack([np.full(1000, 1.0), np.zeros(1000)], 1)
    assert calibration_error(reliability(sure, np.arange(1000) % 2)) == pytest.approx(0.5)


def test_the_most_confident_mistakes_come_first():
    run = predictions()
    wrong = [i for i in range(200) if run.probabilities[i].argmax() != run.labels[i]]
    expected = sorted(wrong, key=lambda i: -run.probabilities[i].max())
    assert confident_mistakes(run.probabilities, run.labels, 1000).tolist() == expected
    assert confident_mistakes(run.probabilities, run.labels, 5).tolist() == expected[:5]
    assert confident_mistakes(np.eye(3), np.arange(3), 5).tolist() == []


# Tables


def test_tables_show_the_measures():
    seeds = [predictions(0), predictions(1)]
    lines = {line[0]: line[1] for line in calibration_table(seeds).rows}
    accuracies = [float(np.mean(seed.probabilities.argmax(1) == seed.labels)) for seed in seeds]
    spread = abs(accuracies[0] - accuracies[1]) / 2**0.5
    assert lines["accuracy"] == f"{np.mean(accuracies):.4f} ± {spread:.4f}"
    errors = [calibration_error(reliability(seed.probabilities, seed.labels)) for seed in seeds]
    assert lines["expected calibration error"].startswith(f"{np.mean(errors):.4f} ± ")
    total = np.sum([confusion_matrix(seed.labels, seed.probabilities.argmax(1)) for seed in seeds], axis=0)
    for label, (name, confused_with, _) in enumerate(classes_table(seeds, CLASSES).rows):
        assert name == CLASSES[label]
        row = total[label].copy()
        row[label] = -1
        assert confused_with == f"{CLASSES[row.argmax()]} ({row.max() / total[label].sum():.4f})"
    single = classes_table(seeds[:1], CLASSES).rows
    counts = confusion_matrix(seeds[0].labels, seeds[0].probabilities.argmax(1))
    assert [line[2] for line in single] == [f"{counts[i, i] / counts[i].sum():.4f}" for i in range(3)]


def test_a_class_without_mistakes_has_a_dash():
    sure = Predictions(np.eye(3), np.arange(3), np.zeros(0, int), np.zeros((0, 32, 32, 3), np.uint8))
    assert classes_table([sure], CLASSES).rows == [[name, "-", "1.0000"] for name in CLASSES]
    assert calibration(sure) == {"accuracy": 1, "mean confidence": 1, "expected calibration error": 0}


def test_tables_without_predictions_are_empty():
    assert classes_table([], CLASSES).rows == calibration_table([]).rows == []
    assert make_figures(Options(), []) == {}


def test_the_json_lists_the_mistaken_images():
    run = predictions()
    entry = json.loads(json.dumps(to_json(run, CLASSES), allow_nan=False))
    assert entry["accuracy"] == calibration(run)["accuracy"]
    assert np.sum(entry["confusion"]) == 200
    assert list(entry["classes"]) == list(CLASSES)
    for mistake in entry["mistakes"]:
        probabilities = run.probabilities[mistake["image"]]
        assert mistake["true"] == CLASSES[run.labels[mistake["image"]]] != mistake["answer"]
        assert mistake["answer"] == CLASSES[probabilities.argmax()]
        assert mistake["confidence"] == probabilities.max()


def test_the_original_number_is_named_on_cifar10_only():
    assert "section 5" in " ".join(notes(Options()))
    assert "original" not in " ".join(notes(Options(dataset="digits")))


# Figures


def test_the_confusion_matrix_shows_its_counts():
    counts = predictions().confusion
    axes = plots.confusion_matrix(counts, CLASSES, "Test").axes[0]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(column, row): str(counts[row, column]) for row in range(3) for column in range(3)}
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")
    errors = np.ma.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(np.ma.getmaskarray(errors), np.eye(3))
    fractions = counts / counts.sum(1, keepdims=True)
    np.testing.assert_allclose(errors.compressed(), fractions[~np.eye(3, dtype=bool)])
    largest_error = fractions[~np.eye(3, dtype=bool)].max()
    assert axes.images[0].norm.vmax == largest_error  # which has the darkest colour


def test_the_reliability_plot_shows_accuracy_and_counts():
    run = predictions()
    bins = reliability(run.probabilities, run.labels)
    above, below = plots.reliability_diagram(bins, "Test").axes
    heights = [patch.get_height() for patch in above.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, np.nan_to_num(bins.accuracy))
    assert [patch.get_height() for patch in below.patches] == bins.images.tolist()  # type: ignore[attr-defined]
    assert [round(patch.get_x() * BINS) for patch in below.patches] == list(range(BINS))  # type: ignore[attr-defined]
    assert f"{calibration_error(bins):.4f}" in above.texts[0].get_text()
    dots = [line for line in above.lines if line.get_marker() == "o"]
    small_bins = (bins.images > 0) & (bins.images < 10)
    assert small_bins.any()
    for line, selected in zip(dots, ((bins.images >= 10), small_bins), strict=True):
        np.testing.assert_allclose(np.array(line.get_xydata()), np.stack([bins.confidence, bins.accuracy], 1)[selected])
    assert dots[1].get_markerfacecolor() == "white"
    assert below.get_yscale() == "log"
    assert "log" in below.get_ylabel()


def test_the_grid_of_mistakes_names_both_classes():
    run = predictions()
    figure = plots.mistake_grid(mistakes_shown(run, CLASSES), "Test")
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 5
    for axes, i, image in zip(panels, run.mistakes, run.images, strict=True):
        assert np.array_equal(np.asarray(axes.images[0].get_array()), image)
        probabilities = run.probabilities[i]
        title = f"{CLASSES[run.labels[i]]}, taken for\n{CLASSES[probabilities.argmax()]} ({probabilities.max():.3f})"
        assert axes.get_title() == title
    assert [axes for axes in plots.mistake_grid([], "None").axes if axes.images] == []


# The command


@pytest.mark.whole
def test_from_the_command_line_to_the_files(tmp_path, monkeypatch, capsys):
    args = ["--dataset", "digits", "--limit", "128", "--epochs", "1", "--output", str(tmp_path)]
    process = python("-W", "error", "-m", "experiments.tuned", *args)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "digits" / "tuned"
    assert {path.name for path in folder.iterdir()} == FIGURES | {"summary.json", "table.md", "cache"}
    for name in FIGURES:
        with Image.open(folder / name) as image:
            assert image.width >= 800
    (row,) = json.loads((folder / "summary.json").read_text())["rows"]
    (answers,) = row["answers"]
    assert row["reported"] is None
    assert np.sum(answers["confusion"]) == 360
    assert answers["accuracy"] == pytest.approx(row["mean"]["test"]["accuracy"])  # as measured by the run itself
    assert np.trace(answers["confusion"]) == round(answers["accuracy"] * 360)
    text = (folder / "table.md").read_text()
    assert f"| expected calibration error | {answers['expected_calibration_error']:.4f} |" in text
    for name in FIGURES:
        assert f"({name})" in text

    for name in ("predict", "load"):
        monkeypatch.setattr(experiment, name, None)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(args) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "1 of 1 runs are done" in capsys.readouterr().err
