"""The blocks of the network, and the table of functions that compute them.

All that the network does with images is a *block*: 3x3 convolution, batch norm or none, ReLU, 2x2 pooling or none.
`xla_block` defines it with XLA's own operations; the other functions compute the same, faster on some platform.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnn3.nn.batch_norm import BatchNormInputs, Moments, batch_norm
from cnn3.nn.cpu_block import winograd_block
from cnn3.nn.norm_relu_pool import Pool, norm_relu_pool, sum_by_reduction

# (images, kernel, bias, norm or None, pool) -> (activations, the batch's moments if the norm asks for them)
Block = Callable[[Array, Array, Array, BatchNormInputs | None, Pool], tuple[Array, Moments | None]]


def max_pool(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height//2 width//2 channels"]:
    """Return the maximum of each 2x2 window; at ties the gradient goes to the first maximum, as in torch."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average_pool(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height//2 width//2 channels"]:
    """Return the mean of each 2x2 window."""
    return lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def xla_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with XLA's own convolution and pooling; this defines what a block is."""
    y = _convolve(x, kernel).astype(bias.dtype) + bias
    y, moments = batch_norm(y, norm) if norm is not None else (y, None)
    pooled = {"max": max_pool, "average": average_pool, "none": lambda a: a}[pool](jax.nn.relu(y))
    return pooled, moments


def fused_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with XLA's own convolution, and everything after it as one function."""
    return norm_relu_pool(_convolve(x, kernel).astype(bias.dtype), bias, norm, pool, sum_by_reduction)


def _convolve(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


BLOCKS: dict[str, Block] = {"plain": xla_block, "winograd": winograd_block, "fused": fused_block}
