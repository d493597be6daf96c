"""Training step by step, as the comparison of kernels does, equals training by the epoch."""

import chex
import jax
import jax.numpy as jnp
import pytest

from benchmarks.kernels_agree import train_epoch_by_steps
from cnn3 import OptimizerConfig, RunConfig, load
from cnn3.nn.layers import xla_block
from cnn3.training.optim import hyperparameters
from cnn3.training.state import init_state, make_train_spec
from cnn3.training.step import train_epoch
from tests.helpers.tiny import TINY


@pytest.mark.whole
def test_single_steps_add_up_to_an_epoch(quick_to_compile):
    config = RunConfig(TINY, OptimizerConfig("sgd", 0.01, weight_decay=0.0), dataset="digits", batch_size=32)
    spec, train = make_train_spec(config, xla_block), load("digits", limit=80).train
    hyper = jax.tree.map(jnp.float32, hyperparameters(config))
    start = init_state(spec, jnp.int32(7))
    by_steps = train_epoch_by_steps(spec, jax.tree.map(jnp.copy, start), hyper, train, 7, 2)
    at_once, _ = train_epoch(spec, start, hyper, *train, jnp.int32(7), jnp.int32(2))
    # Measured: 9e-7; with another epoch's order 2e-2.
    chex.assert_trees_all_close(by_steps.weights, at_once.weights, rtol=0, atol=5e-6)
