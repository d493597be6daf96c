"""Loss and gradients of every variant against PyTorch: the same weights, real images, one dropout mask.

Errors are relative to a tensor's largest value, as seen with jax 0.10.1 and torch 2.13 on an x86-64 CPU.
"""

from typing import Any

import jax
import numpy as np
import pytest

from cnn3.config import ModelConfig
from cnn3.nn.layers import BLOCKS
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import to_torch
from tests.helpers.parity import (
    cancels,
    combinations,
    digits,
    error,
    judged_loss,
    kept_units,
    loss_and_gradients,
    own,
    reference,
    under_protocols,
)

NARROW: dict[str, Any] = {"channels": (16, 12, 8), "hidden": (24, 128)}
MODELS = combinations(ModelConfig(**NARROW), ModelConfig(dense=True, **NARROW))
MODELS |= {"average_pool": ModelConfig(batch_norm=True, pool="average", **NARROW)}
ALL = "batch_norm+dropout+dense"
EXTREMES = ["baseline", ALL, "average_pool"]  # all that a kernel can meet
IMAGES = 9


def errors(name: str, discard: bool, kernels: str, dtype: Any, *, flat: bool) -> dict[str, float]:
    """Return the error of the loss, and of each parameter's gradient; of one that is zero, its size beside others."""
    images, labels = digits(IMAGES, dtype, flat=flat)
    judge = reference(MODELS[name], discard, dtype)
    model, weights = own(judge, BLOCKS[kernels])
    kept = kept_units(model, weights, images) if judge.config.dropout else None
    value = judged_loss(judge, images, labels, kept)
    value.backward()
    (ours, _), gradients = loss_and_gradients(model, weights, images, labels)
    found = {"loss": error(ours, value.detach().numpy())}
    tensors = to_torch(model, Weights(gradients, {}))
    for tensor, parameter in judge.named_parameters():
        if parameter.grad is None:  # torch leaves what nothing depends on without one
            assert np.all(tensors[tensor] == 0)
        elif cancels(tensor, judge.config, discard):
            of_weight = np.abs(tensors[tensor.replace("bias", "weight")]).max()
            found[tensor] = float(np.abs(tensors[tensor]).max() / of_weight)
        else:
            found[tensor] = error(tensors[tensor], parameter.grad.numpy())
    return found


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("name", "discard"), under_protocols(MODELS))
def test_gradients_in_float32(name: str, discard: bool, flat: bool) -> None:
    """To 1e-4 with XLA's own kernels; seen: 8.3e-6, and 3.9e-5 where most windows tie.

    What is left there is rounding and no tie sent elsewhere, as float64 shows below: digits on black are alike, so
    norms take the mean from numbers that hardly differ from it.
    """
    found = errors(name, discard, "plain", np.float32, flat=flat)
    assert max(found.values()) <= 1e-4, found


@pytest.mark.parametrize("kernels", ["plain", "fused"])
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_where_windows_tie(name: str, kernels: str) -> None:
    """In float64, with XLA's own convolution: a tie's gradient goes to the first pixel in both.

    To 1e-12; seen: 1.4e-13.
    """
    with jax.enable_x64(True):
        found = errors(name, False, kernels, np.float64, flat=True)
    assert max(found.values()) <= 1e-12, found


@pytest.mark.parametrize("kernels", ["winograd", "fused"])
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_of_the_faster_kernels(name: str, kernels: str) -> None:
    """In float64 to 1e-12; seen: 1.7e-14."""
    with jax.enable_x64(True):
        found = errors(name, False, kernels, np.float64, flat=False)
    assert max(found.values()) <= 1e-12, found


@pytest.mark.parametrize("kernels", ["winograd", "fused"])
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_of_the_faster_kernels_in_float32(name: str, kernels: str) -> None:
    """To 1e-4; seen: 8.0e-6.

    Not where windows tie: rounding within a tile parts some ties, and so sends single pixels' gradients elsewhere.
    """
    found = errors(name, False, kernels, np.float32, flat=False)
    assert max(found.values()) <= 1e-4, found
