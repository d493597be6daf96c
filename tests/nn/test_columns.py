"""A network of several columns: against networks of one column, each applied and trained by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn3 import OptimizerConfig, Protocol, RunConfig, load, load_model, predict, save_weights
from cnn3.nn.layers import xla_block
from cnn3.nn.network import CNN3
from cnn3.training.augment import normalize
from cnn3.training.optim import hyperparameters
from cnn3.training.state import TrainState, Weights, init_state, make_train_spec, start_state
from cnn3.training.step import forward, train_step
from tests.helpers.tiny import TINY

pytestmark = pytest.mark.usefixtures("quick_to_compile")

COLUMNS = 3
ONE = replace(TINY, batch_norm=True, flip_equivariant=True)
SEVERAL = replace(ONE, columns=COLUMNS)


def column(weights: Weights, index: int) -> Weights:
    """Return the weights of a column as those of a network of its own."""
    prefix = f"column{index + 1}."
    return Weights(
        *(
            {layer.removeprefix(prefix): leaves for layer, leaves in tree.items() if layer.startswith(prefix)}
            for tree in weights
        )
    )


def start(config: RunConfig) -> tuple[Any, TrainState]:
    spec = make_train_spec(config, xla_block)
    return spec, init_state(spec, jnp.int32(0))


def test_columns_start_from_different_weights_and_average_their_log_probabilities() -> None:
    _, state = start(RunConfig(SEVERAL))
    images = jnp.asarray(load("digits", limit=32).train.images)
    output, _ = forward(CNN3(SEVERAL), state.weights, images)
    alone = [forward(CNN3(ONE), column(state.weights, i), images)[0] for i in range(COLUMNS)]
    assert len({float(a.logits[0, 0]) for a in alone}) == COLUMNS
    probabilities = np.stack([np.exp(a.logits) / np.exp(a.logits).sum(-1, keepdims=True) for a in alone])
    np.testing.assert_allclose(output.logits, np.log(probabilities).mean(0), rtol=0, atol=2e-6)
    np.testing.assert_allclose(output.latent, np.concatenate([a.latent for a in alone], -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("smoothing", "discards"), [(0.0, False), (0.1, True)])
def test_each_column_takes_the_step_that_it_would_take_alone(smoothing: float, discards: bool) -> None:
    """Seen: 1.2e-7. A norm whose output is thrown away takes no decay, in any column."""
    optimizer = OptimizerConfig("sgd", 0.1, weight_decay=0.01)  # Adam would turn rounding into steps
    protocol = Protocol(discard_last_norm=discards)
    config = RunConfig(SEVERAL, optimizer, protocol, "digits", batch_size=32, label_smoothing=smoothing)
    images, labels = map(jnp.asarray, load("digits", limit=32).train)
    spec, state = start(config)
    one = make_train_spec(replace(config, model=ONE), xla_block)
    arguments = hyperparameters(config), images, labels, jax.random.key(1), 0, jnp.arange(32) < 29
    stepped, _ = train_step(spec, state, *arguments)
    for i in range(COLUMNS):
        expected, _ = train_step(one, start_state(one, column(state.weights, i)), *arguments)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=5e-7),
            column(stepped.weights, i),
            expected.weights,
        )


def test_torch_reads_the_weights_of_columns_and_computes_the_same(torch: Any, tmp_path: Path) -> None:
    """The log probabilities lie between -2.35 and -2.26; seen: 4.8e-7."""
    from safetensors.torch import load_file

    from tests.helpers.torch_reference import TorchCNN3

    _, state = start(RunConfig(SEVERAL))
    save_weights(tmp_path / "columns.safetensors", CNN3(SEVERAL), state.weights)
    columns = torch.nn.ModuleDict({f"column{i}": TorchCNN3(ONE) for i in range(1, COLUMNS + 1)}).eval()
    columns.load_state_dict(load_file(tmp_path / "columns.safetensors"))
    images = load("digits", limit=32).train.images
    x = torch.from_numpy(np.array(normalize(jnp.asarray(images)))).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = torch.stack([column(x)[0].log_softmax(-1) for column in columns.values()]).mean(0)
    loaded = load_model(tmp_path / "columns.safetensors")
    assert loaded.model.config == SEVERAL
    np.testing.assert_allclose(predict(loaded.model, 32, loaded.weights, images).logits, expected, rtol=0, atol=2e-6)
