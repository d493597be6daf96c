"""The weights that come with cnn3, and what their card says of them."""

import json
import re
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

import cnn3
from cnn3.config import SEED
from cnn3.data.dataset import CIFAR10_CLASSES
from cnn3.data.image_files import read_image
from cnn3.predict.__main__ import main
from cnn3.training.augment import MEAN, STD
from cnn3.weights.pretrained import FLIP, PRETRAINED, TUNED
from experiments.support.recipes import RECIPES
from tests.helpers.processes import ROOT

PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.png"))
FOLDER = ROOT / "cnn3" / "weights" / "pretrained"
CARDS = {TUNED: (FOLDER / "README.md").read_text(), FLIP: (FOLDER / "flip.md").read_text()}
CONFIGS = {TUNED: cnn3.VARIANTS["batch_norm"], FLIP: RECIPES["flip-muon-20"].model}
RESULTS = ROOT / "docs" / "cifar10"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([read_image(path) for path in PICTURES])


@pytest.fixture(scope="module")
def normalized(images) -> Float32[np.ndarray, "n 3 32 32"]:
    """The same as PyTorch takes them."""
    return ((images / 255 - MEAN) / STD).astype(np.float32).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module", params=PRETRAINED)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def logits(images, name: str) -> Float32[np.ndarray, "n 10"]:
    model, weights, _ = cnn3.pretrained(name)
    return np.asarray(cnn3.predict(model, len(images), weights, images).logits)


@pytest.mark.parametrize(
    ("options", "mistaken"),
    [((), []), (("--weights", "tuned"), []), (("--weights", "flip"), ["frog"])],  # 0.48 for bird, 0.47 for frog
)
def test_pictures_are_what_their_names_say(options: tuple[str, ...], mistaken: list[str], capsys) -> None:
    assert main([*map(str, PICTURES), "--top", "1", *options]) == 0
    answers = re.findall(r"(\w+)\.png: (\w+) 0\.\d{4}$", capsys.readouterr().out, re.MULTILINE)
    assert len(answers) == len(PICTURES) >= 7
    assert [name for name, answer in answers if name != answer] == mistaken


def test_other_names_are_refused() -> None:
    with pytest.raises(cnn3.WeightsError, match="no weights named 'best' come with cnn3, only tuned and flip"):
        cnn3.pretrained("best")


def test_the_file_is_small_and_names_its_classes(name: str) -> None:
    assert PRETRAINED[name].stat().st_size < 4_000_000
    model, weights, classes = cnn3.pretrained(name)
    assert classes == CIFAR10_CLASSES
    assert model.config == CONFIGS[name]
    assert not model.discard_last_norm
    parameters = sum(leaf.size for layer in weights.params.values() for leaf in layer.values())
    assert f"{parameters:,} parameters" in CARDS[name]


def test_the_cards_pytorch_gives_the_same_logits(name: str, normalized, logits, monkeypatch) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    monkeypatch.chdir(FOLDER)
    (program,) = re.findall(r"<!-- pytorch -->\n```python\n(.*?)```", CARDS[name], re.DOTALL)
    names: dict = {}
    exec(program, names)
    theirs = names["logits"](torch.from_numpy(normalized)).numpy()
    np.testing.assert_allclose(logits, theirs, atol=1e-5 * np.abs(theirs).max())


def test_pytorch_loads_them_strictly_and_other_logits_come_of_it_without_the_last_norm(
    name: str, normalized, logits
) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    from safetensors.torch import load_file

    from tests.helpers.torch_reference import TorchCNN3

    for discard in (False, True):
        module = TorchCNN3(CONFIGS[name], discard).eval()
        module.load_state_dict(load_file(PRETRAINED[name]), strict=True)
        with torch.no_grad():
            theirs = module(torch.from_numpy(normalized))[0].numpy()
        assert np.allclose(logits, theirs, atol=1e-5 * np.abs(theirs).max()) is not discard


@pytest.mark.parametrize(
    ("name", "experiment", "row_name"), [(TUNED, "tuned", "tuned"), (FLIP, "frontier", "flip-muon-20")]
)
def test_the_card_says_what_was_measured(name: str, experiment: str, row_name: str) -> None:
    card, row = CARDS[name], result(experiment, row_name)
    (seed,) = (seed for seed in row["seeds"] if seed["seed"] == SEED)
    for other in row["seeds"]:
        if other is not seed:
            assert f"seed {other['seed']} reaches {100 * other['test']['accuracy']:.2f}%" in card
    table = dict(re.findall(r"^\| (train|validation|test)\b[^|]*\| (.*) \|$", card, re.MULTILINE))
    assert table == {split: f"{seed[split]['accuracy']:.4f} | {seed[split]['loss']:.4f}" for split in table}
    assert set(table) == {"train", "validation", "test"}
    assert f"value: {seed['test']['accuracy']}}}" in card
    assert f"{100 * seed['test']['accuracy']:.2f}%" in (cnn3.pretrained.__doc__ or "")


def test_the_tuned_runs_card_says_what_was_measured_of_its_answers() -> None:
    card, row = CARDS[TUNED], result("tuned", "tuned")
    (seed,), (answers,) = row["seeds"], row["answers"]
    calibration = answers["expected_calibration_error"]
    assert f"mean confidence {answers['mean_confidence']:.4f}, expected calibration error {calibration:.4f}" in card
    assert "| " + " | ".join(f"{accuracy:.3f}" for accuracy in answers["classes"].values()) + " |" in card
    assert f"epoch {seed['epochs']}," in card
    assert f"the weights of epoch {seed['best_epoch'] + 1}," in " ".join(card.split())


def result(experiment: str, name: str) -> dict[str, Any]:
    """Return a row of an experiment's published summary."""
    (row,) = (
        row for row in json.loads((RESULTS / experiment / "summary.json").read_text())["rows"] if row["name"] == name
    )
    return row
