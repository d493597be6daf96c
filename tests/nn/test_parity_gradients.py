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
from tests.helpers.marks import whole_except
from tests.helpers.parity import (
    cnn3_copy,
    combinations,
    digits,
    error,
    is_cancelled_bias,
    kept_units,
    loss_and_gradients,
    reference,
    reference_loss,
    under_protocols,
)

NARROW: dict[str, Any] = {"channels": (16, 12, 8), "hidden": (24, 128)}
MODELS = combinations(ModelConfig(**NARROW), ModelConfig(dense=True, **NARROW))
FIRST: dict[str, Any] = {"batch_norm": True, "pool_first": True, **NARROW}
MODELS |= {
    "average_pool": ModelConfig(batch_norm=True, pool="average", **NARROW),
    "pool_first": ModelConfig(activation="gelu", pool_window=3, **FIRST),
    "average_first": ModelConfig(pool="average", **FIRST),
    "dense_first": ModelConfig(dense=True, **FIRST),
    "flip": ModelConfig(activation="gelu", pool_window=3, flip_equivariant=True, **FIRST),
    "pixel_norm": ModelConfig(activation="gelu", pool_window=3, flip_equivariant=True, pixel_norm=True, **FIRST),
    "dense_pixel_norm": ModelConfig(batch_norm=True, dense=True, pixel_norm=True, **NARROW),
    "dense_flip": ModelConfig(batch_norm=True, dense=True, flip_equivariant=True, **NARROW),
}
COMBINED = "batch_norm+dropout+dense"
EXTREMES = ["baseline", COMBINED, "average_pool", "pool_first", "flip", "pixel_norm"]  # every case of a kernel
IMAGES = 9


def errors(name: str, discard: bool, kernels: str, dtype: Any, *, flat: bool) -> dict[str, float]:
    """Return the error of the loss and of each gradient; for a zero gradient its size relative to the weight's."""
    images, labels = digits(IMAGES, dtype, flat=flat)
    torch_model = reference(MODELS[name], discard, dtype)
    model, weights = cnn3_copy(torch_model, BLOCKS[kernels])
    kept = kept_units(model, weights, images) if torch_model.config.dropout else None
    value = reference_loss(torch_model, images, labels, kept)
    value.backward()
    (loss, _), gradients = loss_and_gradients(model, weights, images, labels)
    result = {"loss": error(loss, value.detach().numpy())}
    tensors = to_torch(model, Weights(gradients, {}))
    for tensor, parameter in torch_model.named_parameters():
        if parameter.grad is None:  # torch has no gradient for unused parameters
            assert np.all(tensors[tensor] == 0)
        elif is_cancelled_bias(tensor, torch_model.config, discard):
            weight_scale = np.abs(tensors[tensor.replace("bias", "weight")]).max()
            result[tensor] = float(np.abs(tensors[tensor]).max() / weight_scale)
        else:
            result[tensor] = error(tensors[tensor], parameter.grad.numpy())
    return result


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("name", "discard"), whole_except([COMBINED], under_protocols(MODELS)))
def test_gradients_in_float32(name: str, discard: bool, flat: bool) -> None:
    """To 1e-4 with XLA's own kernels; seen: 8.3e-6, and 3.9e-5 where most windows tie.

    The remaining error is rounding, not ties, as float64 shows below: digits on black are alike, so norms subtract
    the mean from numbers close to it.
    """
    result = errors(name, discard, "plain", np.float32, flat=flat)
    assert max(result.values()) <= 1e-4, result


@pytest.mark.parametrize("kernels", ["plain", "fused"])
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_where_windows_tie(name: str, kernels: str) -> None:
    """In float64, with XLA's own convolution: a tie's gradient goes to the first pixel in both.

    To 1e-12; seen: 1.4e-13.
    """
    with jax.enable_x64(True):
        result = errors(name, False, kernels, np.float64, flat=True)
    assert max(result.values()) <= 1e-12, result


@pytest.mark.parametrize("kernels", ["winograd", "fused"])
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_of_the_faster_kernels(name: str, kernels: str) -> None:
    """In float64 to 1e-12; seen: 1.7e-14."""
    with jax.enable_x64(True):
        result = errors(name, False, kernels, np.float64, flat=False)
    assert max(result.values()) <= 1e-12, result


@pytest.mark.parametrize("kernels", whole_except(["winograd"], ["winograd", "fused"]))
@pytest.mark.parametrize("name", whole_except([COMBINED], EXTREMES))
def test_gradients_of_the_faster_kernels_in_float32(name: str, kernels: str) -> None:
    """To 1e-4; seen: 8.0e-6.

    Not where windows tie: rounding within a tile breaks some ties, which moves the gradients of single pixels.
    """
    result = errors(name, False, kernels, np.float32, flat=False)
    assert max(result.values()) <= 1e-4, result
