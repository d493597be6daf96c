"""What a configuration costs before it is run: its parameters and its arithmetic."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from cnn3.config import RunConfig
from cnn3.nn.layers import plain
from cnn3.nn.network import CNN3
from cnn3.training.state import NUMBERS, Program, at_any_rate, make_program, random_key, state_shapes, weight_shapes
from cnn3.training.step import train_step


def parameters(config: RunConfig) -> int:
    """Return how many numbers a run learns; the running statistics of batch norm are not among them."""
    return sum(leaf.size for leaf in jax.tree.leaves(weight_shapes(CNN3(config.model)).params))


def training_flops(config: RunConfig) -> float:
    """Return the floating-point operations of a training step for each image of its batch, by XLA's own count.

    The count is of the step as written with `cnn3.nn.layers.plain`, before any compilation, so that it is a property of
    the network: faster kernels of the same meaning do not change it. A multiply-add is two operations; products with
    the zeros of the padding are not counted.
    """
    program = make_program(config, plain)
    return _step_flops(program._replace(model=at_any_rate(program.model))) / config.batch_size


@cache  # tracing a step takes a second or two
def _step_flops(program: Program) -> float:
    images = jax.ShapeDtypeStruct((program.batch_size, 32, 32, 3), jnp.uint8)
    labels = jax.ShapeDtypeStruct((program.batch_size,), jnp.int32)
    key = jax.eval_shape(random_key, 0)
    lowered = jax.jit(train_step, static_argnums=0).lower(program, state_shapes(program), NUMBERS, images, labels, key)
    analysis: Any = lowered.cost_analysis()
    return analysis["flops"]
