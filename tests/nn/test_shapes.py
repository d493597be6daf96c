"""Kernels and windows other than the original study's, against torch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn3.config import ModelConfig
from cnn3.nn.layers import xla_block
from cnn3.nn.network import CNN3
from cnn3.training.state import init_weights
from cnn3.weights.torch_layout import from_torch, infer_config, to_torch


@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize(("side", "window"), [(5, 3), (8, 2), (1, 3)])
def test_a_block_is_torchs(side: int, window: int, pool: Any, torch: Any) -> None:
    """To 1e-12; seen: 6e-14. Where padding is uneven, XLA's SAME adds the extra pixel after the image."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 8, 8, 3)), rng.normal(size=(side, side, 3, 4))
    bias = rng.normal(size=4)
    images, weights = torch.from_numpy(x.transpose(0, 3, 1, 2)), torch.from_numpy(kernel.transpose(3, 2, 0, 1))
    before, extra = (side - 1) // 2, window - 2
    padded = torch.nn.functional.pad(images, (before, side - 1 - before) * 2)
    y = torch.relu(torch.nn.functional.conv2d(padded, weights, torch.from_numpy(bias)))
    y = torch.nn.functional.pad(y, (0, extra) * 2)  # zeros: no less than a ReLU's output can be
    reduce = {"max": torch.nn.functional.max_pool2d, "average": torch.nn.functional.avg_pool2d}[pool]
    expected = reduce(y, window, 2).numpy().transpose(0, 2, 3, 1)
    with jax.enable_x64(True):
        ours, _ = xla_block(jnp.asarray(x), jnp.asarray(kernel), jnp.asarray(bias), None, pool, window)
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)


def test_a_network_of_other_shapes_passes_through_torchs_layout() -> None:
    config = ModelConfig(True, channels=(4, 6, 8), hidden=(32,), classes=7, kernels=(5, 4, 3), pool_window=3)
    model = CNN3(config)
    weights = init_weights(config, jnp.int32(0))
    tensors = to_torch(model, weights)
    assert tensors["conv_layer2.weight"].shape == (6, 4, 4, 4)
    inferred = infer_config(tensors)
    assert (inferred.kernels, inferred.classes, inferred.hidden) == ((5, 4, 3), 7, (32,))
    for ours, again in zip(jax.tree.leaves(weights), jax.tree.leaves(from_torch(model, tensors)), strict=True):
        np.testing.assert_array_equal(ours, again)
    output = model.apply(weights._asdict(), jnp.zeros((2, 32, 32, 3)), train=False)
    assert output.logits.shape == (2, 7)  # type: ignore[union-attr]
