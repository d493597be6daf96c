"""A block of the network (convolution, batch norm, ReLU, pooling) made fast for CPUs.

The original study's kernels have 3x3 pixels and its windows 2x2. Where there are enough channels to fill matrix
products, convolutions of 3x3 and 5x5 pixels are Winograd's. Others are matrix products of patches.

The network's first layer is another case. A pixel's 27 inputs make a short matrix product whose output is many times
larger than its input, so the time goes into moving the output. It is computed for a few images at a time, pooled while
it is in the cache, and computed again for the gradient. Its batch moments need no pass over the output: the mean of w'p
over patches p is w'E[p], its variance w'Cov[p]w. The norm is folded into the kernel, which changes rounding: values
that tie exactly before the norm may not tie after it, so the gradient may go to another pixel of a window than in
torch; its total is the same.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnn3.nn.batch_norm import EPSILON, BatchNormInputs, Moments, SampleWeights
from cnn3.nn.matmul_conv import matmul_conv
from cnn3.nn.norm_relu_pool import (
    Pool,
    add,
    argmax_window,
    batch_dot,
    least_value,
    norm_relu_pool,
    sum_by_products,
    sum_pixels,
)
from cnn3.nn.winograd import map_images, sum_images, winograd_conv

WINOGRAD_SIDES = (3, 5)  # of kernels
MAX_PATCH_CHANNELS = 4  # with at most this many input channels, a patch is a vector
PATCHES_PER_CHUNK = 4096  # times 256 channels: 4 MB of the first layer's output


def cpu_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "side side cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
    window: int = 2,
    relu: bool = True,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    """Compute a block; see `cnn3.nn.layers.Block`. Height and width must be even unless `pool` is "none"."""
    side, has_few_channels = len(kernel), x.shape[-1] <= MAX_PATCH_CHANNELS
    if side == 3 and has_few_channels:
        return _patch_block(x, kernel, bias, norm, pool, window, relu)
    y = winograd_conv(x, kernel) if side in WINOGRAD_SIDES and not has_few_channels else matmul_conv(x, kernel)
    return norm_relu_pool(y, bias, norm, pool, window, relu, sum_by_products)


def _patches(x: Float[Array, "batch height width cin"], stride: int) -> Float[Array, "batch positions pixels patch"]:
    """Return each pixel's 3x3 neighbourhood, followed by a one.

    With stride 2, the positions are the four of a 2x2 window; with stride 1 there is a single position. Rows of three
    pixels are joined first: to join nine pixels at once takes up to twelve times as long.
    """
    batch, height, width, cin = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    ones = jnp.ones((batch, height // stride, width // stride, 1), x.dtype)

    def at(i: int, j: int) -> Array:
        rows = jnp.concatenate([padded[:, :, j + b : j + b + width : stride] for b in range(3)], 3)
        return jnp.concatenate([*(rows[:, i + a : i + a + height : stride] for a in range(3)), ones], 3)

    parts = [at(i, j).reshape(batch, -1, 9 * cin + 1) for i in range(stride) for j in range(stride)]
    return jnp.stack(parts, 1)


def _patch_block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: BatchNormInputs | None,
    pool: Pool,
    window: int,
    relu: bool,
) -> tuple[Float[Array, "batch rows columns cout"], Moments | None]:
    batch, height, width, _ = x.shape
    cout = kernel.shape[-1]
    patches = _patches(x, 2 if window == 2 and pool != "none" else 1)
    matrix: Array = kernel.reshape(-1, cout)
    moments = None
    if norm is not None:
        scale, shift, statistics = norm
        if not isinstance(statistics, Moments):
            statistics = moments = _patch_moments(patches, matrix, bias, statistics)
        mean, var = statistics
        factor = scale * lax.rsqrt(var + EPSILON)
        matrix, bias = matrix * factor, (bias - mean) * factor + shift
    matrix = jnp.concatenate([matrix, bias[None]])
    if pool != "none" and window > 2:
        return _overlapping_layer(pool, window, relu, patches.reshape(batch, height, width, -1), matrix), moments
    y: Array = _patch_layer(pool, least_value(relu), patches, matrix)
    stride = 1 if pool == "none" else 2
    return y.reshape(batch, height // stride, width // stride, cout), moments


def _patch_moments(
    patches: Float[Array, "batch positions pixels patch"],
    matrix: Float[Array, "inputs cout"],
    bias: Float[Array, " cout"],
    sample_weights: SampleWeights,
) -> Moments:
    """Return the moments of the convolution's output, computed from those of its inputs."""
    rows = patches[..., :-1].reshape(len(patches), -1, matrix.shape[0])
    pixels = rows.shape[1]
    mean = sum_pixels(sum_by_products, rows, sample_weights) / pixels
    centred = rows - mean
    covariance = jnp.tensordot(sample_weights, batch_dot(centred, centred), 1) / pixels
    return Moments(mean @ matrix + bias, jnp.sum(matrix * (covariance @ matrix), 0))


def _position_values(
    patches: Float[Array, "chunk positions pixels patch"], matrix: Float[Array, "patch cout"]
) -> list[Float[Array, "chunk pixels cout"]]:
    """Return the convolution's output at each position of a window."""
    return [patches[:, i] @ matrix for i in range(patches.shape[1])]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _patch_layer(
    pool: Pool, least: float, patches: Float[Array, "batch positions pixels patch"], matrix: Float[Array, "patch cout"]
) -> Float[Array, "batch pixels cout"]:
    """Pool max(least, patches @ matrix) over positions."""

    def layer(chunk: Float[Array, "chunk positions pixels patch"]) -> Float[Array, "chunk pixels cout"]:
        values = _position_values(chunk, matrix)
        if pool == "max":
            return jnp.maximum(argmax_window(values, least)[0], least)
        return add([jnp.maximum(v, least) for v in values]) / len(values)

    return map_images(layer, (patches,), _images_per_chunk(patches))


def _images_per_chunk(patches: Float[Array, "batch positions pixels patch"]) -> int:
    return max(1, PATCHES_PER_CHUNK // (patches.shape[1] * patches.shape[2]))


def _patch_layer_forward(pool: Pool, least: float, patches: Array, matrix: Array) -> tuple[Array, tuple[Array, Array]]:
    return _patch_layer(pool, least, patches, matrix), (patches, matrix)


def _patch_layer_backward(
    pool: Pool, least: float, residuals: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    patches, matrix = residuals

    def value_gradients(chunk: Array, upstream: Array) -> list[Array]:
        """Return the gradient of the output at each position."""
        values = _position_values(chunk, matrix)
        if pool == "max":
            _, index = argmax_window(values, least)
            return [jnp.where(index == i, upstream, 0) for i in range(len(values))]
        return [jnp.where(v > least, upstream / len(values), 0) for v in values]

    def matrix_gradient(chunk: Array, upstream: Array) -> Array:
        contract = (((0, 1), (0, 1)), ((), ()))
        gradients = value_gradients(chunk, upstream)
        return add([lax.dot_general(chunk[:, i], d, contract) for i, d in enumerate(gradients)])

    def patch_gradient(chunk: Array, upstream: Array) -> Array:
        return jnp.stack([d @ matrix.T for d in value_gradients(chunk, upstream)], 1)

    # Two loops, so that XLA can drop the second where the image's gradient is not used, which is the usual case.
    chunk_size = _images_per_chunk(patches)
    dmatrix = sum_images(matrix_gradient, (patches, gradient), chunk_size)
    return map_images(patch_gradient, (patches, gradient), chunk_size), dmatrix


_patch_layer.defvjp(_patch_layer_forward, _patch_layer_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _overlapping_layer(
    pool: Pool,
    window: int,
    relu: bool,
    patches: Float[Array, "batch height width patch"],
    matrix: Float[Array, "patch cout"],
) -> Float[Array, "batch rows columns cout"]:
    """Pool max(least, patches @ matrix) over windows that overlap, so that each pixel is in several.

    Its gradient is written out: with jax.checkpoint in its place the layer takes three times as long.
    """

    def layer(chunk: Float[Array, "chunk height width patch"]) -> Float[Array, "chunk rows columns cout"]:
        return _pool_pixels(pool, window, relu, chunk @ matrix)

    return map_images(layer, (patches,), _images_per_chunk(patches))


def _pool_pixels(pool: Pool, window: int, relu: bool, y: Float[Array, "chunk height width cout"]) -> Array:
    return norm_relu_pool(y, jnp.zeros(y.shape[-1:], y.dtype), None, pool, window, relu, sum_by_products)[0]


def _overlapping_layer_forward(
    pool: Pool, window: int, relu: bool, patches: Array, matrix: Array
) -> tuple[Array, tuple[Array, Array]]:
    return _overlapping_layer(pool, window, relu, patches, matrix), (patches, matrix)


def _overlapping_layer_backward(
    pool: Pool, window: int, relu: bool, residuals: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    patches, matrix = residuals

    def pixel_gradient(chunk: Array, upstream: Array) -> Array:
        _, vjp = jax.vjp(partial(_pool_pixels, pool, window, relu), chunk @ matrix)
        return vjp(upstream)[0]

    def matrix_gradient(chunk: Array, upstream: Array) -> Array:
        return jnp.tensordot(chunk, pixel_gradient(chunk, upstream), ((0, 1, 2), (0, 1, 2)))

    def patch_gradient(chunk: Array, upstream: Array) -> Array:
        return pixel_gradient(chunk, upstream) @ matrix.T

    chunk_size = _images_per_chunk(patches)  # two loops, as above
    dmatrix = sum_images(matrix_gradient, (patches, gradient), chunk_size)
    return map_images(patch_gradient, (patches, gradient), chunk_size), dmatrix


_overlapping_layer.defvjp(_overlapping_layer_forward, _overlapping_layer_backward)
