"""The command `python -m cnn3.evaluate`, judged by the network's own predictions."""

import json
from pathlib import Path

import numpy as np
import pytest

import cnn3
from cnn3.config import RunConfig
from cnn3.data.loading import load
from cnn3.evaluate.__main__ import main
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights
from cnn3.weights.weight_files import save_weights
from tests.helpers.tiny import SMALL, initial_weights

pytestmark = pytest.mark.usefixtures("quick_to_compile")

MODEL = CNN3(SMALL)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return initial_weights(MODEL)


@pytest.fixture
def saved(weights: Weights, tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    save_weights(path, MODEL, weights, tuple(map(str, range(10))))
    return path


def expected(weights: Weights, split: cnn3.Split) -> tuple[int, float, float]:
    """Return the number of images, the cross entropy and the accuracy in float64, from the logits."""
    logits = np.asarray(cnn3.predict(MODEL, 50, weights, split.images).logits, np.float64)
    log_sums = np.log(np.exp(logits).sum(1))
    losses = log_sums - logits[np.arange(len(logits)), split.labels]
    return len(logits), losses.mean(), float(np.mean(logits.argmax(1) == split.labels))


@pytest.mark.parametrize("split", ["test", "validation", "train"])
def test_loss_and_accuracy_are_those_of_the_logits(
    saved: Path, weights: Weights, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [str(saved), "--dataset", "digits", "--split", split, "--limit", "150", "--seed", "7"]
    assert main([*args, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    n, loss, accuracy = expected(weights, getattr(load("digits", seed=7, limit=150), split))
    assert (measured["weights"], measured["dataset"], measured["split"]) == (str(saved), "digits", split)
    assert (measured["n"], measured["accuracy"]) == (n, accuracy)
    assert measured["loss"] == pytest.approx(loss, rel=1e-5)
    assert main(args) == 0
    text = f"digits, {split}, {n} images: loss {measured['loss']:.4f}, accuracy {accuracy:.4f}\n"
    assert capsys.readouterr().out == text


def test_a_run_in_the_folder_says_which_images(
    saved: Path, weights: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    """The validation images depend on the run's seed; with another one, they are among those trained on."""
    config = RunConfig(SMALL, dataset="digits", limit=140, seed=11)
    (saved.parent / "config.json").write_text(config.to_json())
    for split in ("validation", "train"):
        assert main([str(saved), "--split", split, "--json"]) == 0
        measured = json.loads(capsys.readouterr().out)
        n, loss, accuracy = expected(weights, getattr(load("digits", seed=11, limit=140), split))
        assert (measured["n"], measured["accuracy"]) == (n, accuracy)
        assert measured["loss"] == pytest.approx(loss, rel=1e-5)
    digest = load("digits", seed=12, limit=140).digest
    (saved.parent / "versions.json").write_text(json.dumps({"data": digest}))
    assert main([str(saved), "--split", "test"]) == 0
    assert main([str(saved), "--split", "validation", "--seed", "12"]) == 0
    assert main([str(saved), "--split", "validation"]) == 2
    assert f"had another data set or split (data {digest}, not" in capsys.readouterr().err
    (saved.parent / "config.json").write_text("{}")
    assert main([str(saved)]) == 2
    assert "config.json is damaged" in capsys.readouterr().err
    (saved.parent / "versions.json").unlink()  # as beside other programs' weights
    assert main([str(saved), "--dataset", "digits"]) == 0


def test_a_run_without_validation_images_was_trained_on_all(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RunConfig(SMALL, dataset="digits", patience=None, hold_out=False)
    (saved.parent / "config.json").write_text(config.to_json())
    digits = load("digits")
    train, validation, test = (len(split.labels) for split in (digits.train, digits.validation, digits.test))
    for split, n in (("train", train + validation), ("validation", validation), ("test", test)):
        assert main([str(saved), "--split", split, "--json"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)["n"] == n
        assert ("was trained on the validation images too" in printed.err) == (split != "test")


def test_weights_that_come_with_cnn3_are_known_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """On other images than they were trained on, as the network's own predictions say."""
    assert main(["tuned", "--dataset", "digits", "--json"]) == 0
    printed = capsys.readouterr()
    measured = json.loads(printed.out)
    assert "class 0 is 'plane' in the weights and '0' in digits; labels count, not names\n" in printed.err
    model, weights, _ = cnn3.pretrained("tuned")
    test = load("digits").test
    predictions = cnn3.predict(model, 50, weights, test.images).logits.argmax(1)
    assert measured["weights"] == "tuned"
    assert measured["accuracy"] == np.mean(np.asarray(predictions) == test.labels)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name the --dataset"),
        (("--dataset", "mnist"), "'mnist'"),
        (("--dataset", "digits", "--split", "all"), "--split"),
        (("--dataset", "digits", "--limit", "0"), "limit 0 is out of range"),
        (("--dataset", "digits", "--seed", "x"), "--seed: 'x' is not an integer"),
    ],
)
def test_errors_are_one_line(
    saved: Path, args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(saved), *args]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_weights_that_cannot_be_measured_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "missing.safetensors"), "--dataset", "digits"]) == 2
    assert "missing.safetensors: No such file" in capsys.readouterr().err
    three = CNN3(cnn3.ModelConfig(batch_norm=True, channels=(2, 2, 2), hidden=(128,), classes=3))
    save_weights(tmp_path / "three", three, initial_weights(three), ("a", "b", "c"))
    assert main([str(tmp_path / "three"), "--dataset", "digits"]) == 2
    assert "three has 3 classes, digits has 10; name another --dataset" in capsys.readouterr().err
    broken = initial_weights(MODEL)
    broken.params["fc2"]["bias"] = np.full_like(broken.params["fc2"]["bias"], np.nan)
    save_weights(tmp_path / "nan", MODEL, broken)
    assert main([str(tmp_path / "nan"), "--dataset", "digits"]) == 2
    assert "nan gives no finite loss" in capsys.readouterr().err


def test_the_package_keeps_its_function(weights: Weights) -> None:
    split = load("digits", limit=150).test
    sums = cnn3.evaluate(MODEL, 64, weights, split.images, split.labels, len(split.labels))
    assert int(sums.correct) == round(expected(weights, split)[2] * len(split.labels))
