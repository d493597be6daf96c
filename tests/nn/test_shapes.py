"""Kernels and windows other than the original study's, against torch."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn3.config import ModelConfig
from cnn3.nn import matmul_conv
from cnn3.nn.layers import BLOCKS
from cnn3.nn.network import CNN3
from cnn3.training.state import init_weights
from cnn3.weights.torch_layout import from_torch, infer_config, to_torch
from tests.helpers.compiling import QUICK


@pytest.mark.parametrize("kernels", BLOCKS)
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("pool", ["max", "average"])
@pytest.mark.parametrize(("side", "window", "cin"), [(5, 3, 3), (8, 2, 3), (1, 3, 6), (3, 3, 3), (5, 3, 6), (4, 2, 6)])
def test_a_block_and_its_gradients_are_torchs(
    side: int, window: int, cin: int, pool: Any, relu: bool, kernels: str, torch: Any
) -> None:
    """To 1e-12. Where padding is uneven, XLA's SAME adds the extra pixel after the image."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(3, 8, 8, cin)), rng.normal(size=(side, side, cin, 4))
    bias, upstream = rng.normal(size=4), rng.normal(size=(3, 4, 4, 4))
    images, weights, shifts = (
        torch.from_numpy(a.copy()).requires_grad_()
        for a in (x.transpose(0, 3, 1, 2), kernel.transpose(3, 2, 0, 1), bias)
    )
    before, extra = (side - 1) // 2, window - 2
    padded = torch.nn.functional.pad(images, (before, side - 1 - before) * 2)
    y = torch.nn.functional.conv2d(padded, weights, shifts)
    y = torch.relu(y) if relu else y
    outside = {"max": -torch.inf, "average": 0}[pool]
    y = torch.nn.functional.pad(y, (extra // 2, extra - extra // 2) * 2, value=outside)
    reduce = {"max": torch.nn.functional.max_pool2d, "average": torch.nn.functional.avg_pool2d}[pool]
    expected = reduce(y, window, 2)
    expected.backward(torch.from_numpy(upstream.transpose(0, 3, 1, 2)))
    with jax.enable_x64(True):

        def block(*arrays: jax.Array) -> jax.Array:
            images, matrix, shift = arrays
            return BLOCKS[kernels](images, matrix, shift, None, pool, window, relu)[0]

        @partial(jax.jit, compiler_options=QUICK)
        def with_gradients(arrays: tuple[jax.Array, ...], upstream: jax.Array) -> tuple:
            values, gradients = jax.vjp(block, *arrays)
            return values, gradients(upstream)

        ours, (dx, dkernel, dbias) = with_gradients(tuple(map(jnp.asarray, (x, kernel, bias))), upstream)
    close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    close(ours, expected.detach().numpy().transpose(0, 2, 3, 1))
    close(dx, images.grad.numpy().transpose(0, 2, 3, 1))
    close(dkernel, weights.grad.numpy().transpose(2, 3, 1, 0))
    close(dbias, shifts.grad.numpy())


@pytest.mark.parametrize(("images", "side"), [(1, 5), (7, 5), (7, 2)])
def test_convolution_by_products_is_torchs_whatever_the_size_of_its_chunks(
    images: int, side: int, torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul_conv, "VALUES_PER_CHUNK", 3 * 6 * 10 * 4 * side**2)  # chunks of three images
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(images, 6, 10, 4)), rng.normal(size=(side, side, 4, 5))
    before = (side - 1) // 2
    padded = np.pad(x, ((0, 0), *[(before, side - 1 - before)] * 2, (0, 0))).transpose(0, 3, 1, 2)
    expected = torch.nn.functional.conv2d(torch.from_numpy(padded), torch.from_numpy(kernel.transpose(3, 2, 0, 1)))
    with jax.enable_x64(True):
        ours = matmul_conv.matmul_conv(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(ours, expected.numpy().transpose(0, 2, 3, 1), rtol=1e-12, atol=1e-12)


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
