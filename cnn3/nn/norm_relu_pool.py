"""Batch norm, ReLU or none, and pooling as one function with its own gradient, for CPUs and GPUs.

Windows have 2x2 or 3x3 pixels, and there is one for every 2x2 pixels: they start with these, in row-major order. What
lies outside the image counts as zero in means, and not at all in maxima.

The gradient needs to know only which pixel of each window is the largest. XLA's gradient of max-pooling would write the
coordinates of each maximum, and its gradient of batch norm reads the input six times.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int8, Shaped

from cnn3.nn.batch_norm import EPSILON, BatchNormInputs, Moments, SampleWeights

Pool = Literal["max", "average", "none"]
# Sums over images and pixels; each image may have a weight. Each image is summed separately: a float32 sum over
# all pixels of a batch at once has thirty times the error.
SumFn = Callable[[Float[Array, "batch pixels channels"], SampleWeights | None], Float[Array, " channels"]]


def norm_relu_pool(
    y: Float[Array, "batch height width cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
    window: int,
    relu: bool,
    sum_fn: SumFn,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Return the activations of a block, given the output of its convolution before `bias` is added.

    Also return the batch's moments if `norm` asks for them. Height and width must be even unless `pool` is "none".
    """
    static = _Static(pool, window, least_value(relu), sum_fn)
    if norm is None:
        return _relu_pool(static, y, jnp.zeros_like(bias), jnp.ones_like(bias), bias), None
    scale, shift, statistics = norm
    if isinstance(statistics, Moments):
        mean, var = statistics.mean - bias, statistics.var
        moments = None
    else:
        y_moments: Any = batch_moments(sum_fn, y, statistics)
        mean, var = y_moments
        moments = Moments(mean + bias, var)
    return _relu_pool(static, y, mean, scale * lax.rsqrt(var + EPSILON), shift), moments


def least_value(relu: bool) -> float:
    """Return the least value that can come out of a block, which has a ReLU or not."""
    return 0.0 if relu else -jnp.inf


def sum_by_products(pixels: Float[Array, "batch pixels channels"], sample_weights: SampleWeights | None) -> Array:
    """Compute a `SumFn` by matrix products: on CPUs, XLA's reduction is several times slower."""
    image_sums = batch_dot(jnp.ones(pixels.shape[:2], pixels.dtype), pixels)
    return jnp.sum(image_sums, 0) if sample_weights is None else sample_weights @ image_sums


def sum_by_reduction(pixels: Float[Array, "batch pixels channels"], sample_weights: SampleWeights | None) -> Array:
    """Compute a `SumFn` by XLA's reduction: on GPUs, products may round their inputs to TF32."""
    image_sums = jnp.sum(pixels, 1)
    return jnp.sum(image_sums if sample_weights is None else sample_weights[:, None] * image_sums, 0)


def batch_dot(a: Float[Array, "batch pixels ..."], b: Float[Array, "batch pixels ..."]) -> Array:
    """Multiply and sum over pixels, for each image."""
    return lax.dot_general(a, b, (((1,), (1,)), ((0,), (0,))))


def sum_pixels(
    sum_fn: SumFn, a: Float[Array, "batch *pixels channels"], sample_weights: SampleWeights | None = None
) -> Array:
    """Apply `sum_fn` to images of any number of dimensions."""
    return sum_fn(a.reshape(len(a), -1, a.shape[-1]), sample_weights)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def batch_moments(
    sum_fn: SumFn, y: Float[Array, "batch height width channels"], sample_weights: SampleWeights
) -> Moments:
    """Return the moments of a batch of weighted images."""
    pixels = y.shape[1] * y.shape[2]
    mean = sum_pixels(sum_fn, y, sample_weights) / pixels
    return Moments(mean, sum_pixels(sum_fn, jnp.square(y - mean), sample_weights) / pixels)


def _batch_moments_forward(sum_fn: SumFn, y: Array, sample_weights: Array) -> tuple[Moments, tuple[Array, ...]]:
    moments: Any = batch_moments(sum_fn, y, sample_weights)
    return moments, (y, sample_weights, moments.mean)


def _batch_moments_backward(_: SumFn, residuals: tuple[Array, ...], gradients: Moments) -> tuple[Array, None]:
    y, sample_weights, mean = residuals
    dmean, dvar = gradients
    pixel_weights = (sample_weights / (y.shape[1] * y.shape[2]))[:, None, None, None]
    return pixel_weights * (dmean + (2 * dvar) * (y - mean)), None


batch_moments.defvjp(_batch_moments_forward, _batch_moments_backward)


def windows(
    y: Float[Array, "batch height width channels"], window: int, outside: Literal["constant", "edge"]
) -> list[Float[Array, "batch rows columns channels"]]:
    """Return the values at each position of the windows, in row-major order.

    What lies outside the image is zero ("constant"), or what is next to it ("edge"), which changes no maximum.
    """
    height, width = y.shape[1:3]
    padded = _pad(y, (0, window - 2), outside)
    return [padded[:, i : i + height : 2, j : j + width : 2] for i in range(window) for j in range(window)]


def _pad(
    a: Shaped[Array, "batch height width channels"],
    margins: tuple[int, int],
    mode: Literal["constant", "edge"] = "constant",
) -> Shaped[Array, "batch padded_height padded_width channels"]:
    """Add margins before and after images, along both axes."""
    if margins == (0, 0):
        return a
    # XLA for CPUs would merge the padding into what reads it, with a branch for each value, which takes twice as long.
    return lax.optimization_barrier(jnp.pad(a, ((0, 0), margins, margins, (0, 0)), mode=mode))


def argmax_window(values: Sequence[Array], least: float) -> tuple[Array, Int8[Array, "..."]]:
    """Return the largest value and its index: the first at ties, as in torch; -1 if no value is above `least`."""
    top, index = values[0], jnp.zeros(values[0].shape, jnp.int8)
    for i, value in enumerate(values[1:], 1):
        index = jnp.where(value > top, jnp.int8(i), index)
        top = jnp.maximum(top, value)
    return top, jnp.where(top > least, index, jnp.int8(-1))


def add(terms: Sequence[Array]) -> Array:
    """Return the sum of arrays, in order."""
    return sum(terms[1:], start=terms[0])


def _upsample(a: Shaped[Array, "batch rows columns channels"]) -> Shaped[Array, "batch rows 2 columns 2 channels"]:
    batch, rows, columns, channels = a.shape
    return jnp.broadcast_to(a[:, :, None, :, None, :], (batch, rows, 2, columns, 2, channels))


class _Static(NamedTuple):
    """What is fixed when `_relu_pool` is compiled."""

    pool: Pool
    window: int
    least: float  # of all activations: 0 is ReLU
    sum_fn: SumFn


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _relu_pool(
    static: _Static,
    y: Float[Array, "batch height width channels"],
    mean: Float[Array, " channels"],
    scale: Float[Array, " channels"],
    shift: Float[Array, " channels"],
) -> Float[Array, "batch rows columns channels"]:
    """Pool max(least, (y - mean) scale + shift)."""
    return _relu_pool_forward(static, y, mean, scale, shift)[0]


def _relu_pool_forward(
    static: _Static, y: Array, mean: Array, scale: Array, shift: Array
) -> tuple[Array, tuple[Array, Array, Array, Array, Array | None]]:
    pool, window, least, _ = static

    def affine(a: Array) -> Array:
        return (a - mean) * scale + shift

    if pool == "none":
        return jnp.maximum(affine(y), least), (y, mean, scale, shift, None)
    if pool == "max":
        top, index = argmax_window([affine(a) for a in windows(y, window, "edge")], least)
        return jnp.maximum(top, least), (y, mean, scale, shift, index)
    activations = windows(jnp.maximum(affine(y), least), window, "constant")
    return add(activations) / window**2, (y, mean, scale, shift, None)


def _relu_pool_backward(
    static: _Static, residuals: tuple[Array, Array, Array, Array, Array | None], gradient: Array
) -> tuple[Array, Array, Array, Array]:
    pool, window, least, sum_fn = static
    y, mean, scale, shift, index = residuals
    if index is not None:
        active = _of_pixels(window, gradient, index).reshape(y.shape)
        maxima = add([jnp.where(index == i, a, 0) for i, a in enumerate(windows(y, window, "edge"))])
        weighted, centred = jnp.where(index >= 0, gradient, 0), maxima - mean
    else:
        upstream = gradient if pool == "none" else _of_pixels(window, gradient / window**2).reshape(y.shape)
        active = jnp.where((y - mean) * scale + shift > least, upstream, 0)
        weighted, centred = active, y - mean
    dshift = sum_pixels(sum_fn, weighted)
    return active * scale, -scale * dshift, sum_pixels(sum_fn, weighted * centred), dshift


def _of_pixels(
    window: int,
    gradient: Float[Array, "batch rows columns channels"],
    index: Int8[Array, "batch rows columns channels"] | None = None,
) -> Float[Array, "batch rows 2 columns 2 channels"]:
    """Return what reaches each pixel of its windows' gradients: all, or where `index` is the pixel's position."""
    rows, columns = gradient.shape[1:3]
    margin = window - 2  # of windows that start above and to the left of the pixel's own
    gradient = _pad(gradient, (margin, 0))
    index = None if index is None else _pad(index, (margin, 0))
    terms = []
    for i in range(margin + 1):
        for j in range(margin + 1):
            here = slice(None), slice(margin - i, margin - i + rows), slice(margin - j, margin - j + columns)
            position = _position_of_pixels(window, i, j)
            reached = position >= 0 if index is None else _upsample(index[here]) == position
            terms.append(jnp.where(reached, _upsample(gradient[here]), 0))
    return add(terms)


def _position_of_pixels(window: int, rows: int, columns: int) -> Int8[Array, "1 1 2 1 2 1"]:
    """Return the position of 2x2 pixels in the window so many further up and to the left; negative is outside."""
    row, column = np.arange(2)[:, None] + 2 * rows, np.arange(2) + 2 * columns
    position = np.where((row < window) & (column < window), row * window + column, -2)
    return jnp.asarray(position.reshape(1, 1, 2, 1, 2, 1), jnp.int8)


_relu_pool.defvjp(_relu_pool_forward, _relu_pool_backward)
