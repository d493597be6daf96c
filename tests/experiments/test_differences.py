"""The experiment on differences from the original study: short runs, JPEG, and the tables."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from cnn3 import Dataset, RunConfig, load
from cnn3.data.dataset import CIFAR10_CLASSES
from experiments import differences
from experiments.differences import (
    DENSE,
    DENSE_SLOWER,
    THROUGH_JPEG,
    TUNED,
    apply_jpeg,
    late_accuracy,
    main,
    shifted_jpeg,
)
from experiments.support import publish, runner
from experiments.support.findings import format_points
from experiments.support.options import Options
from experiments.support.run import Run
from tests.helpers import fabricated

JPEG, PNG = "Its images passed through JPEG once.", "Its images are kept without loss."
MEASURED = {
    "as they are": 0.83,
    "same grid": 0.829,
    "other grid": 0.82,
    "same grid changed": 0.08,
    "other grid changed": 0.9,
    "inference": 0.84,
    "training": 0.81,
}


def fake_cifar10(name: str, *args, **kwargs) -> Dataset:
    """Return digits under the name of CIFAR-10."""
    digits = load("digits")
    return Dataset(name, CIFAR10_CLASSES, digits.train, digits.validation, digits.test)


def tiles() -> np.ndarray:
    photo = load_sample_image("china.jpg")
    return np.stack([photo[y : y + 32, x : x + 32] for y in range(0, 320, 32) for x in range(0, 640, 32)])


def test_a_second_jpeg_pass_changes_little_unless_its_blocks_are_shifted() -> None:
    images = tiles()
    first = apply_jpeg(images, 0)
    same, other = apply_jpeg(first, 0), apply_jpeg(first, 4)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a.astype(int) - b).mean())

    assert first.shape == other.shape == images.shape
    assert distance(first, images) > 4
    assert distance(same, first) < 0.1 * distance(first, images)
    assert 0.5 < distance(other, first) / distance(first, images) < 1.5


def test_the_jpeg_data_set_keeps_its_labels_and_has_another_name() -> None:
    original = fake_cifar10("cifar10")
    compressed = shifted_jpeg(original)
    assert compressed.name == "cifar10_jpeg"
    for name in ("train", "validation", "test"):
        after, before = getattr(compressed, name), getattr(original, name)
        assert np.array_equal(after.labels, before.labels)
        assert 0 < np.abs(after.images.astype(int) - before.images).mean() < 8


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return the experiment's folder; runs and measurements are fabricated."""
    with (
        patch.object(runner, "load", fake_cifar10),
        patch.object(runner, "fit", fabricated.fit),
        patch.object(publish, "describe_source", lambda *_: JPEG),
        patch.object(differences, "describe_source", lambda *_: JPEG),
        patch.object(differences, "measure", lambda *_: MEASURED),
    ):
        yield tmp_path / "cifar10" / "differences"


def test_tables_and_notes_cover_the_first_epochs(folder: Path, tmp_path: Path) -> None:
    assert main(["--output", str(tmp_path)]) == 0
    options = Options()
    dense, tuned = options.config(model=differences.VARIANTS["dense"]), options.tuned()
    configs = {
        DENSE: dense,
        DENSE_SLOWER: differences.first_epochs(options.config(model=dense.model, optimizer=tuned.optimizer)),
        TUNED: tuned,
        THROUGH_JPEG: differences.first_epochs(options.tuned(dataset="cifar10_jpeg")),
    }
    lines = {line[0]: line for line in fabricated.cells(folder) if len(line) == 7}
    curves = {name: fabricated.learning_curve(config) for name, config in configs.items()}
    for name, accuracies in curves.items():
        assert lines[name][2:] == [f"{accuracies[epoch - 1] / 2:.4f}" for epoch in (1, 2, 3, 4, 5)]
    means = {name: float(np.mean(accuracies[3:5])) for name, accuracies in curves.items()}
    for name, config in configs.items():
        assert late_accuracy([fabricated.run(config, curves[name])], 5) == pytest.approx(means[name])
    text = (folder / "table.md").read_text()
    assert f"{means[DENSE_SLOWER]:.4f} with 0.0001, {format_points(means[DENSE_SLOWER] - means[DENSE])} " in text
    assert f"trained on such images is {format_points(means[THROUGH_JPEG] - means[TUNED])} that of" in text
    assert "is 1.00 points below that on images as they are" in text
    assert "is 3.00 points below that in inference mode, which does not explain why" in text
    assert "ends at 0.7616. " in text
    assert "those used here have, once. A second pass" in text


@pytest.mark.parametrize(
    ("epochs", "when"), [(1, "After one epoch"), (3, "On average over epochs 2 and 3"), (9, "epochs 4 and 5")]
)
def test_notes_name_the_epochs_that_they_average(epochs: int, when: str, folder: Path, tmp_path: Path) -> None:
    assert main(["--output", str(tmp_path), "--epochs", str(epochs)]) == 0
    dense = fabricated.learning_curve(Options(epochs=epochs).config(model=differences.VARIANTS["dense"]))
    mean = float(np.mean(dense[:5][-2:]))
    text = (folder / "table.md").read_text()
    assert f"{when} validation accuracy is" in text
    assert f"{mean:.4f} with 0.001. " in text


def test_notes_depend_on_the_images_and_the_signs(folder: Path, tmp_path: Path) -> None:
    better = MEASURED | {"training": 0.86}
    with (
        patch.object(differences, "describe_source", lambda *_: PNG),
        patch.object(differences, "measure", lambda *_: better),
    ):
        assert main(["--output", str(tmp_path)]) == 0
    text = (folder / "table.md").read_text()
    assert "those used here have not either. With" in text
    assert "is 2.00 points above that in inference mode, which may explain why" in text


def test_the_run_on_jpeg_images_may_be_missing(folder: Path, tmp_path: Path) -> None:
    def read(options: Options, folder: Path, config: RunConfig) -> Run | None:
        finished = config.dataset == "cifar10"
        return fabricated.run(config, fabricated.learning_curve(config)) if finished else None

    with patch.object(runner, "_read", read):
        assert main(["--output", str(tmp_path), "--only-finished"]) == 0
    text = (folder / "table.md").read_text()
    assert DENSE_SLOWER in text
    assert THROUGH_JPEG not in text
    assert "No model has been trained on such images yet." in text


def test_digits_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", "digits", "--output", str(tmp_path)]) == 2
    message = "error: the original study has results on CIFAR-10 only; leave --dataset out\n"
    assert capsys.readouterr().err == message
    assert list(tmp_path.iterdir()) == []
