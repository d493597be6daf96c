"""The weights that come with cnn3, and what their card says of them."""

import json
import re

import numpy as np
import pytest
from jaxtyping import Float32

import cnn3
from cnn3.data.dataset import CIFAR10_CLASSES
from cnn3.data.image_files import read_image
from cnn3.predict.__main__ import main
from cnn3.training.augment import MEAN, STD
from cnn3.weights.pretrained import TUNED
from tests.helpers.processes import ROOT

PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.png"))
CARD = (TUNED.parent / "README.md").read_text()
RESULTS = ROOT / "docs" / "cifar10" / "tuned" / "summary.json"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([read_image(path) for path in PICTURES])


@pytest.fixture(scope="module")
def normalized(images) -> Float32[np.ndarray, "n 3 32 32"]:
    """The same as PyTorch takes them."""
    return ((images / 255 - MEAN) / STD).astype(np.float32).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def logits(images) -> Float32[np.ndarray, "n 10"]:
    model, weights, _ = cnn3.pretrained()
    return np.asarray(cnn3.predict(model, len(images), weights, images).logits)


def test_pictures_are_what_their_names_say(capsys) -> None:
    assert main([*map(str, PICTURES), "--top", "1"]) == 0
    answers = re.findall(r"(\w+)\.png: (\w+) 0\.\d{4}$", capsys.readouterr().out, re.MULTILINE)
    assert len(answers) == len(PICTURES) >= 7
    assert [name for name, answer in answers if name != answer] == []


def test_the_file_is_small_and_names_its_classes() -> None:
    assert TUNED.stat().st_size < 4_000_000
    model, weights, classes = cnn3.pretrained()
    assert classes == CIFAR10_CLASSES
    assert model.config == cnn3.VARIANTS["batch_norm"]
    assert not model.discard_last_norm
    parameters = sum(leaf.size for layer in weights.params.values() for leaf in layer.values())
    assert f"{parameters:,} parameters" in CARD


def test_the_cards_pytorch_gives_the_same_logits(normalized, logits, monkeypatch) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    monkeypatch.chdir(TUNED.parent)
    (program,) = re.findall(r"<!-- pytorch -->\n```python\n(.*?)```", CARD, re.DOTALL)
    names: dict = {}
    exec(program, names)
    theirs = names["logits"](torch.from_numpy(normalized)).numpy()
    np.testing.assert_allclose(logits, theirs, atol=1e-5 * np.abs(theirs).max())


def test_pytorch_loads_them_strictly_and_other_logits_come_of_it_without_the_last_norm(normalized, logits) -> None:
    torch = pytest.importorskip("torch", reason="the judge is PyTorch: pip install -e '.[parity]'")
    from safetensors.torch import load_file

    from tests.helpers.torch_reference import TorchCNN3

    for discard in (False, True):
        module = TorchCNN3(cnn3.VARIANTS["batch_norm"], discard).eval()
        module.load_state_dict(load_file(TUNED), strict=True)
        with torch.no_grad():
            theirs = module(torch.from_numpy(normalized))[0].numpy()
        assert np.allclose(logits, theirs, atol=1e-5 * np.abs(theirs).max()) is not discard


def test_the_card_says_what_was_measured() -> None:
    (row,) = json.loads(RESULTS.read_text())["rows"]
    (seed,), (answers,) = row["seeds"], row["answers"]
    table = dict(re.findall(r"^\| (train|validation|test)\b[^|]*\| (.*) \|$", CARD, re.MULTILINE))
    assert table == {split: f"{seed[split]['accuracy']:.4f} | {seed[split]['loss']:.4f}" for split in table}
    assert f"value: {seed['test']['accuracy']}}}" in CARD
    calibration = answers["expected_calibration_error"]
    assert f"mean confidence {answers['mean_confidence']:.4f}, expected calibration error {calibration:.4f}" in CARD
    assert "| " + " | ".join(f"{accuracy:.3f}" for accuracy in answers["classes"].values()) + " |" in CARD
    assert f"epoch {seed['epochs']}," in CARD
    assert f"the weights of epoch {seed['best_epoch'] + 1}," in " ".join(CARD.split())
