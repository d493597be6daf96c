"""The network: its parameters and their initialisation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnn3.config import VARIANTS, ModelConfig
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights, init_weights, weight_shapes
from tests.helpers.marks import whole_except

# Each convolution has 9 * inputs * channels + channels, each linear layer inputs * outputs + outputs,
# each norm two per channel.
CONVOLUTIONS = 9 * 3 * 256 + 256 + 9 * 256 * 128 + 128 + 9 * 128 * 64 + 64
LINEAR = 1024 * 512 + 512 + 512 * 128 + 128 + 128 * 10 + 10
NORMS = 2 * (256 + 128 + 64 + 512 + 128)
DENSE_CONVOLUTIONS = 9 * 3 * 128 + 128 + 9 * 131 * 64 + 64 + 9 * 195 * 32 + 32
DENSE_LINEAR = 8192 * 1024 + 1024 + 1024 * 128 + 128 + 128 * 10 + 10
COUNTS = {
    "baseline": CONVOLUTIONS + LINEAR,
    "batch_norm": CONVOLUTIONS + LINEAR + NORMS,
    "dropout": CONVOLUTIONS + LINEAR,
    "dense": DENSE_CONVOLUTIONS + DENSE_LINEAR,
}
SHAPES = {
    **VARIANTS,
    "dense_batch_norm_dropout": dataclasses.replace(VARIANTS["dense"], batch_norm=True, dropout=0.2),
    "narrow_first": ModelConfig(channels=(64, 128, 256)),
    "even": ModelConfig(channels=(128, 128, 128)),
    "two_linear": ModelConfig(hidden=(128,)),
    "four_linear": ModelConfig(hidden=(512, 256, 128)),
    "average_pool": ModelConfig(pool="average", batch_norm=True),
}


def count(weights: Weights) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(weights.params))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_number_of_parameters_is_that_of_the_original_study(variant: str) -> None:
    assert count(weight_shapes(CNN3(VARIANTS[variant]))) == COUNTS[variant]
    assert COUNTS["baseline"] == 967_754


@pytest.mark.parametrize("name", whole_except(["baseline", "dense_batch_norm_dropout"], SHAPES))
def test_initial_weights_follow_torchs_distribution(name: str) -> None:
    for layer, leaves in init_weights(SHAPES[name], jnp.int32(3)).params.items():
        if layer.startswith("batch_norm"):
            assert np.all(leaves["scale"] == 1)
            assert np.all(leaves["bias"] == 0)
            continue
        bound = leaves["kernel"][..., 0].size ** -0.5
        for leaf in leaves.values():
            assert np.abs(leaf).max() <= bound
            uniform = stats.uniform(-bound, 2 * bound)
            assert stats.kstest(np.ravel(leaf), uniform.cdf).pvalue > 1e-3
