"""The layers' semantics, and the one place where the kernels that compute them are chosen.

All that the network does with images is a *block*: 3x3 convolution, batch norm or none, ReLU, 2x2 pooling or none.
`xla_block` defines it with XLA's own operations; a platform may have a faster function of the same meaning.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnn3.nn import cpu_block

Pool = Literal["max", "average", "none"]

EPSILON = 1e-5  # as torch.nn.BatchNorm2d


class Moments(NamedTuple):
    """Mean and biased variance of each channel over a batch and its pixels."""

    mean: Float[Array, " channels"]
    var: Float[Array, " channels"]


class BatchNormInputs(NamedTuple):
    """Batch norm's parameters, and the statistics to normalise with.

    In training they are those of the batch at hand, and what is given is each image's share in them: 1 / count, or 0
    for an image that only fills up the batch.
    """

    scale: Float[Array, " channels"]
    bias: Float[Array, " channels"]
    statistics: Moments | Float[Array, " batch"]


# (images, kernel, bias, norm or None, pool) -> (activations, the batch's moments where the norm asked for them)
Block = Callable[[Array, Array, Array, BatchNormInputs | None, Pool], tuple[Array, Moments | None]]


def batch_norm(
    x: Float[Array, "*batch channels"], norm: BatchNormInputs
) -> tuple[Float[Array, "*batch channels"], Moments | None]:
    """Normalise each channel; return also the batch's moments if they were used.

    The variance is the biased one, as in torch.nn.BatchNorm1d and BatchNorm2d in training.
    """
    statistics = norm.statistics
    moments = statistics if isinstance(statistics, Moments) else batch_moments(x, statistics)
    normalised = (x - moments.mean) * lax.rsqrt(moments.var + EPSILON) * norm.scale + norm.bias
    return normalised, (None if isinstance(statistics, Moments) else moments)


def batch_moments(x: Float[Array, "batch *pixels channels"], sample_weights: Float[Array, " batch"]) -> Moments:
    """Return the moments of a batch in which each image has its share.

    Images are summed one by one: a float32 sum over all pixels of a batch at once loses ten times as much.
    """

    def average(a: Float[Array, "batch *pixels channels"]) -> Float[Array, " channels"]:
        image_means = jnp.mean(a, tuple(range(1, a.ndim - 1)))
        return jnp.sum(sample_weights[:, None] * image_means, 0)

    mean = average(x)
    return Moments(mean, average(jnp.square(x - mean)))


def max_pool(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height//2 width//2 channels"]:
    """Return the maximum of each 2x2 window; at ties the gradient goes to the first of them, as in torch."""
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
    """Compute a block with XLA's own convolution and pooling: what a block means."""
    y = _convolve(x, kernel).astype(bias.dtype) + bias
    y, moments = batch_norm(y, norm) if norm is not None else (y, None)
    pooled = {"max": max_pool, "average": average_pool, "none": lambda a: a}[pool](jax.nn.relu(y))
    return pooled, moments


def winograd_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with the kernels made for CPUs; see `cnn3.nn.cpu_block`."""
    y, statistics = cpu_block.block(x, kernel, bias, norm, pool, EPSILON)
    return y, None if statistics is None else Moments(*statistics)


def fused_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block with XLA's own convolution, and all that follows it as one function; see `cnn3.nn.cpu_block`.

    XLA's gradient of max-pooling writes the coordinates of each winner, and its gradient of batch norm reads the input
    six times.
    """
    y = _convolve(x, kernel).astype(bias.dtype)
    y, statistics = cpu_block.normalise_rectify_pool(y, bias, norm, pool, EPSILON, cpu_block.sum_by_reduction)
    return y, None if statistics is None else Moments(*statistics)


def _convolve(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


BLOCKS: dict[str, Block] = {"plain": xla_block, "winograd": winograd_block, "fused": fused_block}
