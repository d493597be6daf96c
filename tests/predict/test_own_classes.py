"""Data of one's own from images to predictions, with other numbers of classes than ten."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import cnn3
from cnn3.predict.__main__ import main
from tests.helpers.tiny import random_weights

pytestmark = pytest.mark.usefixtures("quick_to_compile")

MODEL = cnn3.ModelConfig(batch_norm=True, channels=(8, 8, 8), hidden=(32, 128))
COLORS = {"blue\x1b[5m": (30, 30, 200), "green": (30, 200, 30), "red": (200, 30, 30)}


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


def paint(color: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    """Return a noisy image of one color."""
    return Image.fromarray(np.clip(rng.normal(color, 25, (40, 48, 3)), 0, 255).astype(np.uint8))


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    """Images of three colors, in a folder for each."""
    rng = np.random.default_rng(0)
    for part, count in {"train": 80, "test": 10}.items():
        for name, color in COLORS.items():
            folder = tmp_path / "Paintings" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                paint(color, rng).save(folder / f"{i:02d}.png")
    return tmp_path / "Paintings"


def test_three_classes_in_a_folder_are_learnt_and_recognised(paintings, tmp_path, capsys):
    dataset = cnn3.load(paintings)
    config = cnn3.RunConfig(
        replace(MODEL, classes=3),
        cnn3.OptimizerConfig("adam", 3e-3),
        dataset="paintings",
        batch_size=24,
        epochs=1,
        snapshots=(),
    )
    result = cnn3.fit(config, dataset, tmp_path / "run")
    assert result.summary["test"]["accuracy"] > 0.8  # a third by chance
    versions = json.loads((tmp_path / "run" / "versions.json").read_text())
    assert versions["data"] == dataset.digest
    best = tmp_path / "run" / "best.safetensors"
    assert load_file(best)["fc3.weight"].shape == (3, 128)
    assert cnn3.load_model(best).classes == dataset.classes == tuple(COLORS)
    pictures = [str(next(iter(sorted((paintings / "test" / name).iterdir())))) for name in ("green", "red", "green")]
    assert main([*pictures, "--weights", str(best)]) == 0
    printed = capsys.readouterr().out
    lines = [line.split(": ", 1) for line in printed.splitlines()]
    assert [path for path, _ in lines] == pictures  # the one that is named twice, too
    answers = [[pair.rsplit(" ", 1) for pair in rest.split(", ")] for _, rest in lines]
    assert [answer[0][0] for answer in answers] == ["green", "red", "green"]
    for answer in answers:
        assert sorted(name for name, _ in answer) == ["blue\\x1b[5m", "green", "red"]  # the terminal does not blink
        assert sum(float(value) for _, value in answer) == pytest.approx(1, abs=2e-4)


@pytest.mark.whole
def test_a_hundred_classes_in_an_npz_file_are_trained_and_named(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        f"{part}_{name}": array
        for part, count in (("train", 300), ("test", 100))
        for name, array in (
            ("images", rng.integers(0, 256, (count, 32, 32, 3), np.uint8)),
            ("labels", rng.permutation(np.arange(count) % 100)),
        )
    }
    names = [f"class {i:02d}" for i in range(100)]
    np.savez(tmp_path / "hundred.npz", **arrays, classes=np.array(names))
    dataset = cnn3.load(tmp_path / "hundred.npz")
    model = replace(MODEL, classes=100)
    config = cnn3.RunConfig(model, dataset="hundred", batch_size=30, epochs=1, snapshots=())
    with pytest.raises(cnn3.ConfigError, match=r"model\.classes is 10, but the data set has 100 classes"):
        cnn3.fit(cnn3.RunConfig(MODEL, dataset="hundred", batch_size=30), dataset)
    result = cnn3.fit(config, dataset)
    assert result.summary["diverged"] is None
    assert result.history[0]["train"]["loss"] == pytest.approx(math.log(100), abs=0.5)  # noise cannot be learnt
    network = cnn3.CNN3(model)
    output = cnn3.predict(network, 50, result.weights["best"], dataset.test.images)
    assert output.logits.shape == (100, 100)
    cnn3.save_weights(tmp_path / "best.safetensors", network, result.weights["best"], dataset.classes)
    Image.fromarray(dataset.test.images[0]).save(tmp_path / "a.png")
    command = [str(tmp_path / "a.png"), "--weights", str(tmp_path / "best.safetensors")]
    assert main([*command, "--top", "1000"]) == 0
    answer = [pair.rsplit(" ", 1) for pair in capsys.readouterr().out.split(": ", 1)[1].strip().split(", ")]
    expected = np.exp(np.asarray(output.logits[0], np.float64))
    order = np.argsort(-expected)
    assert answer[0][0] == names[order[0]]
    assert {name: float(value) for name, value in answer} == pytest.approx(
        {names[i]: expected[i] / expected.sum() for i in order}, abs=6e-5
    )


def test_classes_of_weights_without_names_are_those_of_own_data(tmp_path, paintings, capsys):
    model = cnn3.CNN3(cnn3.ModelConfig(channels=(2, 2, 2), hidden=(128,), classes=3))
    cnn3.save_weights(tmp_path / "bare.safetensors", model, random_weights(model))
    picture = str(paintings / "test" / "red" / "00.png")
    command = [picture, "--weights", str(tmp_path / "bare.safetensors")]
    assert main([*command, "--dataset", str(paintings)]) == 0
    answer = capsys.readouterr().out.removeprefix(f"{picture}: ").split(", ")
    assert sorted(pair.split()[0] for pair in answer) == ["blue\\x1b[5m", "green", "red"]
    for name, message in {
        "cifar100": "has 3 classes, not 100; name another --dataset",
        "mnist": "there is no data set or file 'mnist': choose one of cifar10, cifar100, digits",
    }.items():
        assert main([*command, "--dataset", name]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
