"""Flip-equivariant networks: the same logits for mirror images, and group convolutions by their definition."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn3.config import ModelConfig
from cnn3.nn.layers import BLOCKS
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights, init_weights
from tests.helpers.compiling import QUICK
from tests.helpers.parity import digits

FLIP = ModelConfig(batch_norm=True, channels=(6, 4, 8), hidden=(16,), flip_equivariant=True)


@partial(jax.jit, static_argnums=(0, 3), compiler_options=QUICK)
def logits(model: CNN3, weights: Weights, images: Any, train: bool = False) -> jax.Array:
    output, _ = model.apply(weights._asdict(), images, train=train, mutable=["batch_stats"])
    return output.logits


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("changes", [{"pool_window": 3, "pool_first": True, "activation": "gelu"}, {"dense": True}])
def test_an_image_and_its_mirror_image_have_the_same_logits(changes: dict[str, Any], train: bool) -> None:
    """To 1e-5; seen: 1.7e-6."""
    config = replace(FLIP, **changes)
    weights = init_weights(config, jnp.int32(0))
    images, _ = digits(4, np.float32, flat=False)
    for block in BLOCKS.values():
        model = CNN3(config, block=block)
        original, mirrored = (logits(model, weights, a, train) for a in (images, images[:, :, ::-1]))
        np.testing.assert_allclose(mirrored, original, rtol=0, atol=1e-5 * np.abs(original).max())
    plain = CNN3(replace(config, flip_equivariant=False))
    weights = init_weights(plain.config, jnp.int32(0))
    assert np.abs(logits(plain, weights, images) - logits(plain, weights, images[:, :, ::-1])).max() > 1e-3


def test_layers_are_group_convolutions() -> None:
    """The group of the identity and the horizontal flip (Cohen and Welling 2016, section 6).

    A plain network with twice the channels computes the same, if each kernel is there a second time: mirrored, and in
    later layers with the inputs' two halves exchanged. To 1e-6; seen: equal.
    """
    weights = init_weights(FLIP, jnp.int32(1))
    images, _ = digits(4, np.float32, flat=False)
    weights = weights._replace(batch_stats=jax.tree.map(lambda leaf: leaf + 0.3, weights.batch_stats))
    plain = replace(FLIP, channels=(12, 8, 16), hidden=(32,), flip_equivariant=False)
    params: dict[str, Any] = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf], -1), weights.params)
    for i in (1, 2, 3):
        kernel = weights.params[f"conv_layer{i}"]["kernel"]
        params[f"conv_layer{i}"]["kernel"] = with_mirrored_kernels(kernel, exchange=i > 1)
    kernel = weights.params["fc1"]["kernel"].reshape(4, 4, 16, 16)
    params["fc1"]["kernel"] = with_mirrored_kernels(kernel, exchange=True).reshape(256, 32)
    last = weights.params["fc2"]["kernel"]
    params["fc2"] = {"kernel": jnp.concatenate([last, last]) / 2, "bias": weights.params["fc2"]["bias"]}
    statistics = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), weights.batch_stats)
    expected = logits(CNN3(plain), Weights(params, statistics), images)
    actual = logits(CNN3(FLIP), weights, images)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def with_mirrored_kernels(kernel: jax.Array, *, exchange: bool) -> jax.Array:
    """Return kernels (height, width, inputs, outputs) and then their mirror images."""
    halves = jnp.split(kernel, 2, 2)[::-1] if exchange else [kernel]
    return jnp.concatenate([kernel, jnp.concatenate(halves, 2)[:, ::-1]], -1)
