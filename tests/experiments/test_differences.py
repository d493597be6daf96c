"""What can explain where results differ from the original study's: short runs, JPEG, and the tables."""

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
    late_accuracy,
    main,
    shifted_jpeg,
    through_jpeg,
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


def pretended(name: str, *args, **kwargs) -> Dataset:
    """Return digits under the name of CIFAR-10."""
    digits = load("digits")
    return Dataset(name, CIFAR10_CLASSES, digits.train, digits.validation, digits.test)


def tiles() -> np.ndarray:
    photo = load_sample_image("china.jpg")
    return np.stack([photo[y : y + 32, x : x + 32] for y in range(0, 320, 32) for x in range(0, 640, 32)])


def test_a_second_pass_on_the_same_grid_changes_little_and_on_another_as_much_as_the_first() -> None:
    images = tiles()
    first = through_jpeg(images, 0)
    same, other = through_jpeg(first, 0), through_jpeg(first, 4)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a.astype(int) - b).mean())

    assert first.shape == other.shape == images.shape
    assert distance(first, images) > 4
    assert distance(same, first) < 0.1 * distance(first, images)
    assert 0.5 < distance(other, first) / distance(first, images) < 1.5


def test_the_data_set_that_passes_again_keeps_its_labels_and_has_a_name_of_its_own() -> None:
    given = pretended("cifar10")
    again = shifted_jpeg(given)
    assert again.name == "cifar10_jpeg"
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(again, name), getattr(given, name)
        assert np.array_equal(ours.labels, theirs.labels)
        assert 0 < np.abs(ours.images.astype(int) - theirs.images).mean() < 8


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The experiment's folder; its runs are made up, and nothing is measured."""
    with (
        patch.object(runner, "load", pretended),
        patch.object(runner, "fit", fabricated.fit),
        patch.object(publish, "describe_source", lambda *_: JPEG),
        patch.object(differences, "describe_source", lambda *_: JPEG),
        patch.object(differences, "measure", lambda *_: MEASURED),
    ):
        yield tmp_path / "cifar10" / "differences"


def test_tables_and_notes_have_the_first_epochs(folder: Path, tmp_path: Path) -> None:
    assert main(["--output", str(tmp_path)]) == 0
    options = Options()
    dense, tuned = options.config(model=differences.VARIANTS["dense"]), options.tuned()
    configs = {
        DENSE: dense,
        DENSE_SLOWER: differences.short(options.config(model=dense.model, optimizer=tuned.optimizer)),
        TUNED: tuned,
        THROUGH_JPEG: differences.short(options.tuned(dataset="cifar10_jpeg")),
    }
    lines = {line[0]: line for line in fabricated.cells(folder) if len(line) == 7}
    courses = {name: fabricated.learning_curve(config) for name, config in configs.items()}
    for name, accuracies in courses.items():
        assert lines[name][2:] == [f"{accuracies[epoch - 1] / 2:.4f}" for epoch in (1, 2, 3, 4, 5)]
    means = {name: float(np.mean(accuracies[3:5])) for name, accuracies in courses.items()}
    for name, config in configs.items():
        assert late_accuracy([fabricated.run(config, courses[name])]) == pytest.approx(means[name])
    text = (folder / "table.md").read_text()
    assert f"{means[DENSE_SLOWER]:.4f} with 0.0001, {format_points(means[DENSE_SLOWER] - means[DENSE])} " in text
    assert f"trained on such images is {format_points(means[THROUGH_JPEG] - means[TUNED])} that of" in text
    assert "is 1.00 points below that on images as they are" in text
    assert "is 3.00 points below that in inference mode, which does not explain why" in text
    assert "ends at 0.7616. " in text
    assert "those used here have, once. A second pass" in text


def test_notes_follow_the_images_and_the_signs(folder: Path, tmp_path: Path) -> None:
    better = MEASURED | {"training": 0.86}
    with (
        patch.object(differences, "describe_source", lambda *_: PNG),
        patch.object(differences, "measure", lambda *_: better),
    ):
        assert main(["--output", str(tmp_path)]) == 0
    text = (folder / "table.md").read_text()
    assert "those used here have not either. With" in text
    assert "is 2.00 points above that in inference mode, which may explain why" in text


def test_without_the_run_on_such_images_the_rest_is_there(folder: Path, tmp_path: Path) -> None:
    def read(options: Options, folder: Path, config: RunConfig) -> Run | None:
        there = config.dataset == "cifar10"
        return fabricated.run(config, fabricated.learning_curve(config)) if there else None

    with patch.object(runner, "_read", read):
        assert main(["--output", str(tmp_path), "--only-finished"]) == 0
    text = (folder / "table.md").read_text()
    assert DENSE_SLOWER in text
    assert THROUGH_JPEG not in text
    assert "No model has been trained on such images yet." in text


def test_there_is_nothing_to_differ_from_on_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", "digits", "--output", str(tmp_path)]) == 2
    message = "error: the original study has results on CIFAR-10 only; leave --dataset out\n"
    assert capsys.readouterr().err == message
    assert list(tmp_path.iterdir()) == []
