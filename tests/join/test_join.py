"""The command `python -m cnn3.join`, judged by the networks that it joins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax

from cnn3 import CNN3, ModelConfig, load, load_model, predict, save_weights
from cnn3.join.__main__ import main
from tests.helpers.tiny import TINY, trained_weights

pytestmark = pytest.mark.usefixtures("quick_to_compile")

ONE = replace(TINY, batch_norm=True, flip_equivariant=True)
DIGITS = tuple(map(str, range(10)))


def save(
    path: Path, seed: int, config: ModelConfig = ONE, classes: tuple[str, ...] | None = DIGITS, discard: bool = False
) -> Path:
    """Write a network and return the path."""
    model = CNN3(config, discard)
    save_weights(path, model, trained_weights(model, seed), classes)
    return path


def test_a_joined_network_is_the_mean_of_the_log_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [save(tmp_path / f"{seed}.safetensors", seed, classes=DIGITS if seed else None) for seed in range(3)]
    output = tmp_path / "joined.safetensors"
    assert main([*map(str, members), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"wrote {output}: 3 columns\n"
    images = load("digits", limit=32).train.images
    logits = [predict(m.model, 32, m.weights, images).logits for m in map(load_model, members)]
    joined = load_model(output)
    assert (joined.model.config, joined.classes) == (replace(ONE, columns=3), DIGITS)
    means = np.mean([log_softmax(np.asarray(a, np.float64), axis=1) for a in logits], 0)
    assert means.std() > 0.1
    np.testing.assert_allclose(predict(joined.model, 32, joined.weights, images).logits, means, rtol=2e-6)  # seen: 3e-7


def test_networks_that_are_no_columns_of_one_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (save(tmp_path / f"{seed}.safetensors", seed) for seed in range(2))
    wider = save(tmp_path / "wider.safetensors", 2, replace(ONE, hidden=(7,)))
    joined = save(tmp_path / "columns.safetensors", 3, replace(ONE, columns=2))
    others = save(tmp_path / "others.safetensors", 4, classes=tuple("abcdefghij"))
    discarding = save(tmp_path / "discarding.safetensors", 5, discard=True)
    output = tmp_path / "joined.safetensors"
    refused = {
        (first,): "at least two networks can be joined, not 1",
        (first, first): "a file is named twice",
        (first, second, wider): f"network 3 has hidden (7,), network 1 has {ONE.hidden}",
        (joined, first): "network 1 has 2 columns already; join networks of one",
        (first, joined): "network 2 has columns 2, network 1 has 1",
        (first, others): "the networks have different class names, so they were trained on different data sets",
        (first, discarding): "networks 1 and 2 were trained by different protocols",
        (first, tmp_path / "none"): f"cannot load weights from {tmp_path / 'none'}: No such file or directory",
    }
    for files, message in refused.items():
        assert main([*map(str, files), "--output", str(output)]) == 2
        assert capsys.readouterr().err == f"error: {message}\n"
    assert not output.exists()


def test_files_of_a_pytorch_program_need_the_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = replace(TINY, batch_norm=True)
    members = [save(tmp_path / f"{seed}.safetensors", seed, config) for seed in range(2)]
    for path in members:
        save_file(load_file(path), path)  # cnn3's own description of the network is lost
    command = [*map(str, members), "--output", str(tmp_path / "joined.safetensors")]
    assert main(command) == 2
    assert "name the --protocol of its training" in capsys.readouterr().err
    for protocol in ("corrected", "published"):
        assert main([*command, "--protocol", protocol]) == 0
        model = load_model(tmp_path / "joined.safetensors").model
        assert model == CNN3(replace(config, columns=2), protocol == "published")
