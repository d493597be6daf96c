"""Batch norm: its inputs, and how it is computed when it is not fused with what follows."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

EPSILON = 1e-5  # as in torch.nn.BatchNorm2d

SampleWeights = Float[Array, " batch"]  # the weight of each image in the batch's moments


class Moments(NamedTuple):
    """Mean and biased variance of each channel over a batch and its pixels."""

    mean: Float[Array, " channels"]
    var: Float[Array, " channels"]


class BatchNormInputs(NamedTuple):
    """The parameters of batch norm, and the statistics to normalise with.

    In inference these are the running moments. In training they are the moments of the batch, and `statistics` is the
    weight of each image in them: 1 / count, or 0 for an image that only pads the batch.
    """

    scale: Float[Array, " channels"]
    bias: Float[Array, " channels"]
    statistics: Moments | SampleWeights


def batch_norm(
    x: Float[Array, "*batch channels"], norm: BatchNormInputs
) -> tuple[Float[Array, "*batch channels"], Moments | None]:
    """Normalise each channel; return the batch's moments too if they were used.

    The variance is the biased one, as in torch.nn.BatchNorm1d and BatchNorm2d in training.
    """
    statistics = norm.statistics
    moments = statistics if isinstance(statistics, Moments) else batch_moments(x, statistics)
    normalised = (x - moments.mean) * lax.rsqrt(moments.var + EPSILON) * norm.scale + norm.bias
    return normalised, (None if isinstance(statistics, Moments) else moments)


def batch_moments(x: Float[Array, "batch *pixels channels"], sample_weights: SampleWeights) -> Moments:
    """Return the moments of a batch of weighted images.

    Each image is summed separately: a float32 sum over all pixels of a batch at once has ten times the error.
    """

    def average(a: Float[Array, "batch *pixels channels"]) -> Float[Array, " channels"]:
        image_means = jnp.mean(a, tuple(range(1, a.ndim - 1)))
        return jnp.sum(sample_weights[:, None] * image_means, 0)

    mean = average(x)
    return Moments(mean, average(jnp.square(x - mean)))
