"""Fifty steps of every optimizer against PyTorch: the same start, the same real batches.

Errors are as seen with jax 0.10.1 and torch 2.13 on an x86-64 CPU, of parameters relative to a tensor's largest value.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

from cnn3.config import OPTIMIZERS, ModelConfig, OptimizerConfig, RunConfig
from cnn3.nn.layers import BLOCKS
from cnn3.training.optim import hyperparameters, make_optimizer, update_rule
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import to_torch
from tests.helpers.parity import (
    cnn3_copy,
    digits,
    error,
    is_cancelled_bias,
    loss_and_gradients,
    reference,
    reference_loss,
)
from tests.helpers.torch_reference import torch

BATCH, STEPS = 32, 50
TINY = ModelConfig(batch_norm=True, channels=(6, 4, 4), hidden=(16, 128))
SMALL = ModelConfig(batch_norm=True, channels=(24, 16, 8), hidden=(32, 128))
FAST = {name: dataclasses.replace(config, learning_rate=1e-3) for name, config in OPTIMIZERS.items()}


class Trained(NamedTuple):
    """The losses of all steps, and the tensors after the last."""

    losses: np.ndarray
    tensors: dict[str, np.ndarray]


def batches(dtype: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return a batch for each step."""
    images, labels = digits(BATCH * 10, np.float32, flat=False)
    indices = [i % 10 * BATCH + np.arange(BATCH) for i in range(STEPS)]
    return [(images[batch].astype(dtype), labels[batch]) for batch in indices]


def train_torch(shape: ModelConfig, config: OptimizerConfig, dtype: Any) -> Trained:
    torch_model = reference(shape, False, dtype)
    parameters, rate, decay = torch_model.parameters(), config.learning_rate, config.weight_decay
    tx = {
        "sgd": lambda: torch.optim.SGD(parameters, rate),
        "momentum": lambda: torch.optim.SGD(parameters, rate, config.momentum or 0.0),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, rate),
        "adam": lambda: torch.optim.Adam(parameters, rate, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(parameters, rate, weight_decay=decay),
    }[config.name]()
    losses = []
    for images, labels in batches(dtype):
        tx.zero_grad()
        loss = reference_loss(torch_model, images, labels)
        loss.backward()
        tx.step()
        losses.append(loss.item())
    return Trained(np.array(losses), {name: value.numpy() for name, value in torch_model.state_dict().items()})


def train_cnn3(shape: ModelConfig, config: OptimizerConfig, dtype: Any) -> Trained:
    model, weights = cnn3_copy(reference(shape, False, dtype), BLOCKS["winograd"])
    optimizer = make_optimizer(update_rule(config.name).transform, hyperparameters(RunConfig(optimizer=config)))

    @jax.jit
    def update(gradients: Any, state: Any, params: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    state: Any = optimizer.init(weights.params)
    losses = []
    for images, labels in batches(dtype):
        (loss, batch_stats), gradients = loss_and_gradients(model, weights, images, labels)
        params, state = update(gradients, state, weights.params)
        weights = Weights(params, batch_stats)
        losses.append(float(loss))
    return Trained(np.array(losses), to_torch(model, weights))


@pytest.mark.parametrize("name", FAST)
def test_fifty_steps_in_float64_equal_torchs(name: str) -> None:
    """The judge of what is the same: every loss to 4e-14, every parameter to 1e-8; seen: 7.0e-15 and 8.2e-9.

    Biases before a norm are left out, since their true gradient is zero: an optimizer that divides by the size of the
    gradient turns rounding errors into steps.
    """
    with jax.enable_x64(True):
        actual = train_cnn3(TINY, FAST[name], np.float64)
    expected = train_torch(TINY, FAST[name], np.float64)
    assert actual.losses[-1] < actual.losses[0]
    np.testing.assert_allclose(actual.losses, expected.losses, rtol=4e-14)
    compared = [key for key in expected.tensors if "num_batches" not in key and not is_cancelled_bias(key, TINY, False)]
    assert max(error(actual.tensors[key], expected.tensors[key]) for key in compared) <= 1e-8


TORCH_DEVIATIONS = {"sgd": 1.4e-6, "momentum": 1.2e-3, "rmsprop": 2.2e-3, "adam": 1.6e-3, "adamw": 1.8e-3}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "adam" else pytest.mark.whole) for name in OPTIMIZERS]
)
def test_fifty_steps_in_float32_drift_as_torchs_do(name: str) -> None:
    """At the original learning rate, losses come no further from PyTorch's in float64 than its own in float32 may.

    Rounding parts near ties of a pooling window, and turns the sign of gradients near zero, of which RMSprop and Adam
    make whole steps. Which ones is a matter of luck: PyTorch's own distance changes with the order of the images in a
    batch and with the threads it uses. The largest of its distances that were seen in six orders, and ours in one:

    |         | sgd    | momentum | rmsprop | adam   | adamw  |
    |---------|--------|----------|---------|--------|--------|
    | PyTorch | 1.4e-6 | 1.2e-3   | 2.2e-3  | 1.6e-3 | 1.8e-3 |
    | cnn3    | 3.0e-7 | 7.2e-4   | 2.5e-3  | 9.8e-4 | 1.5e-3 |
    """
    exact = train_torch(SMALL, OPTIMIZERS[name], np.float64).losses

    losses = train_cnn3(SMALL, OPTIMIZERS[name], np.float32).losses
    assert float(np.abs(losses / exact - 1).max()) <= 3 * TORCH_DEVIATIONS[name]
