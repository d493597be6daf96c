"""Training step by step, as the comparison of kernels does it, is training by the epoch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.kernels_agree import one_epoch
from cnn3 import OptimizerConfig, RunConfig, load
from cnn3.nn.layers import xla_block
from cnn3.training.optim import hyperparameters
from cnn3.training.state import init_state, make_train_spec
from cnn3.training.step import train_epoch
from tests.helpers.tiny import TINY


@pytest.mark.whole
def test_steps_called_one_by_one_are_an_epoch(quick_to_compile):
    config = RunConfig(TINY, OptimizerConfig("sgd", 0.01, weight_decay=0.0), dataset="digits", batch_size=32)
    spec, train = make_train_spec(config, xla_block), load("digits", limit=80).train
    hyper = jax.tree.map(jnp.float32, hyperparameters(config))
    start = init_state(spec, jnp.int32(7))
    stepped = one_epoch(spec, jax.tree.map(jnp.copy, start), hyper, train, 7, 2)
    whole, _ = train_epoch(spec, start, hyper, *train, jnp.int32(7), jnp.int32(2))
    for one, other in zip(jax.tree.leaves(stepped.weights), jax.tree.leaves(whole.weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)  # seen: 9e-7; of another epoch 2e-2
