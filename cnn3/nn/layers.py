"""The blocks of the network, and the table of functions that compute them.

What the network does with images is made of *blocks*: convolution, batch norm or none, ReLU or none, pooling or none.
`xla_block` defines them with XLA's own operations. The other functions compute the same faster on some platform.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnn3.nn.batch_norm import BatchNormInputs, Moments, batch_norm
from cnn3.nn.cpu_block import cpu_block
from cnn3.nn.norm_relu_pool import Pool, norm_relu_pool, sum_by_reduction

# (images, kernel, bias, norm or None, pool, side of its windows, whether there is a ReLU) -> (activations, the batch's
# moments if the norm asks for them)
Block = Callable[[Array, Array, Array, BatchNormInputs | None, Pool, int, bool], tuple[Array, Moments | None]]


def max_pool(
    x: Float[Array, "batch height width channels"], window: int = 2
) -> Float[Array, "batch height//2 width//2 channels"]:
    """Return the maximum of each window, with stride 2; at ties the gradient goes to the first maximum, as in torch."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, 2, 2, 1), "SAME")


def average_pool(
    x: Float[Array, "batch height width channels"], window: int = 2
) -> Float[Array, "batch height//2 width//2 channels"]:
    """Return the mean of each window, with stride 2; what lies outside the image counts as zero."""
    return lax.reduce_window(x, 0.0, lax.add, (1, window, window, 1), (1, 2, 2, 1), "SAME") / window**2


def xla_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "side side cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
    window: int = 2,
    relu: bool = True,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with XLA's own convolution and pooling; this defines what a block is.

    Args:
        x: images.
        kernel: of the convolution, whose output is as large as its input.
        bias: of the convolution.
        norm: batch norm, if any.
        pool: how windows are reduced.
        window: side of the windows.
        relu: whether there is a ReLU before the pooling.
    """
    y = _convolve(x, kernel).astype(bias.dtype) + bias
    y, moments = batch_norm(y, norm) if norm is not None else (y, None)
    y = jax.nn.relu(y) if relu else y
    return {"max": max_pool, "average": average_pool, "none": lambda a, _: a}[pool](y, window), moments


def fused_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "side side cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
    window: int = 2,
    relu: bool = True,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with XLA's own convolution, and everything after it as one function; for windows of 2x2 pixels.

    Larger windows are left to `xla_block`.
    """
    if window != 2:
        return xla_block(x, kernel, bias, norm, pool, window, relu)
    return norm_relu_pool(_convolve(x, kernel).astype(bias.dtype), bias, norm, pool, window, relu, sum_by_reduction)


def _convolve(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


BLOCKS: dict[str, Block] = {"plain": xla_block, "winograd": cpu_block, "fused": fused_block}
