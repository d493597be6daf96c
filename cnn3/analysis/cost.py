"""The cost of a configuration, known before it runs: its parameters and floating-point operations."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from cnn3.config import RunConfig
from cnn3.nn.layers import xla_block
from cnn3.nn.network import CNN3
from cnn3.training.state import (
    HYPERPARAMETER_SHAPES,
    TrainSpec,
    make_train_spec,
    random_key,
    state_shapes,
    weight_shapes,
    without_dropout_rate,
)
from cnn3.training.step import train_step


def count_parameters(config: RunConfig) -> int:
    """Return the number of trained parameters; running statistics of batch norm are not included."""
    return sum(leaf.size for leaf in jax.tree.leaves(weight_shapes(CNN3(config.model)).params))


def training_flops(config: RunConfig) -> float:
    """Return the floating-point operations of a training step per image of its batch, as XLA counts them.

    The step is counted with `cnn3.nn.layers.xla_block` and before compilation, so that the count is a property of the
    network: faster kernels that compute the same do not change it. A multiply-add is two operations; products with
    zero padding are not counted.
    """
    spec = make_train_spec(config, xla_block)
    return _step_flops(spec._replace(model=without_dropout_rate(spec.model))) / config.batch_size


@cache  # tracing a step takes a second or two
def _step_flops(spec: TrainSpec) -> float:
    images = jax.ShapeDtypeStruct((spec.batch_size, 32, 32, 3), jnp.uint8)
    labels = jax.ShapeDtypeStruct((spec.batch_size,), jnp.int32)
    key = jax.eval_shape(random_key, 0)
    lowered = jax.jit(train_step, static_argnums=0).lower(
        spec, state_shapes(spec), HYPERPARAMETER_SHAPES, images, labels, key
    )
    analysis: Any = lowered.cost_analysis()
    return analysis["flops"]
