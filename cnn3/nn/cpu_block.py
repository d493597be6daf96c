"""A block of the network (3x3 convolution, batch norm, ReLU, 2x2 pooling) made fast.

Behind a convolution, normalising, rectifying and pooling are one function, whose gradient needs only which pixel of a
window won. That serves CPUs and GPUs; all else here is for CPUs: the convolution is Winograd's where there are channels
enough to fill matrix products.

An image's first layer is another case. A pixel's 27 inputs make a short matrix product whose output is many times
larger than its input, so moving the output is what takes time. Here it is computed for a few images at a time, pooled
while in the cache, and computed again for the gradient. Its batch statistics need no pass over the output: the mean of
w'p over patches p is w'E[p], its variance w'Cov[p]w. Normalising is folded into the kernel, which changes its
rounding: values that tie exactly before the norm may not tie after it, so the gradient may go to another pixel of a
window than torch's, its total kept.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int8, Shaped

from cnn3.nn.winograd import conv3x3, map_images, sum_images

Pool = Literal["max", "average", "none"]
Statistics = tuple[Float[Array, " channels"], Float[Array, " channels"]]  # mean and biased variance
Shares = Float[Array, " batch"]  # of each image in the batch's statistics
Norm = tuple[Float[Array, " channels"], Float[Array, " channels"], Statistics | Shares]  # scale, bias, statistics
# Sums over images and pixels, each image multiplied by its share if there are any. Images are summed one by one: a
# float32 sum over all pixels of a batch at once loses thirty times as much.
Sum = Callable[[Float[Array, "batch pixels channels"], Shares | None], Float[Array, " channels"]]

FEW_CHANNELS = 4  # up to so many input channels, a patch is a vector
PATCHES_AT_ONCE = 4096  # times 256 channels, 4 MB of the first layer's output


def block(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: Norm | None,
    pool: Pool,
    epsilon: float,
) -> tuple[Float[Array, "batch rows columns cout"], Statistics | None]:
    """Compute a block; see `cnn3.nn.layers.Block`. Return also the batch's mean and variance if `norm` asks for them.

    Height and width have to be even where there is pooling.
    """
    if x.shape[-1] <= FEW_CHANNELS:
        return _block_of_patches(x, kernel, bias, norm, pool=pool, epsilon=epsilon)
    return normalise_rectify_pool(conv3x3(x, kernel), bias, norm, pool, epsilon, sum_by_products)


def normalise_rectify_pool(
    y: Float[Array, "batch height width cout"],
    bias: Float[Array, " cout"],
    norm: Norm | None,
    pool: Pool,
    epsilon: float,
    sums: Sum,
) -> tuple[Float[Array, "batch rows columns cout"], Statistics | None]:
    """Do what a block does with the output of its convolution, whose bias is still to be added."""
    if norm is None:
        return _rectify_pool(pool, sums, y, jnp.zeros_like(bias), jnp.ones_like(bias), bias), None
    scale, shift, given = norm
    if isinstance(given, tuple):
        mean, var = given[0] - bias, given[1]
        statistics = None
    else:
        measured: Any = moments(sums, y, given)
        mean, var = measured
        statistics = (mean + bias, var)
    return _rectify_pool(pool, sums, y, mean, scale * lax.rsqrt(var + epsilon), shift), statistics


def sum_by_products(pixels: Float[Array, "batch pixels channels"], shares: Shares | None) -> Array:
    """Sum as `Sum` says by matrix products: XLA's reduction on CPUs is several times slower."""
    of_images = _batch_dot(jnp.ones(pixels.shape[:2], pixels.dtype), pixels)
    return jnp.sum(of_images, 0) if shares is None else shares @ of_images


def sum_by_reduction(pixels: Float[Array, "batch pixels channels"], shares: Shares | None) -> Array:
    """Sum as `Sum` says by XLA's reduction: on GPUs products may round their inputs to TF32, and sums must not."""
    of_images = jnp.sum(pixels, 1)
    return jnp.sum(of_images if shares is None else shares[:, None] * of_images, 0)


def _sum_pixels(sums: Sum, a: Float[Array, "batch *pixels channels"], shares: Shares | None = None) -> Array:
    return sums(a.reshape(len(a), -1, a.shape[-1]), shares)


def _batch_dot(a: Float[Array, "batch pixels ..."], b: Float[Array, "batch pixels ..."]) -> Array:
    """Multiply and sum over pixels, for each image."""
    return lax.dot_general(a, b, (((1,), (1,)), ((0,), (0,))))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def moments(sums: Sum, y: Float[Array, "batch height width channels"], shares: Shares) -> Statistics:
    """Return each channel's mean and biased variance over all pixels of the images, each with its share."""
    pixels = y.shape[1] * y.shape[2]
    mean = _sum_pixels(sums, y, shares) / pixels
    return mean, _sum_pixels(sums, jnp.square(y - mean), shares) / pixels


def _moments_forward(sums: Sum, y: Array, shares: Array) -> tuple[Statistics, tuple[Array, Array, Array]]:
    measured: Any = moments(sums, y, shares)
    return measured, (y, shares, measured[0])


def _moments_backward(_: Sum, residuals: tuple[Array, Array, Array], gradients: Statistics) -> tuple[Array, None]:
    y, shares, mean = residuals
    dmean, dvar = gradients
    weights = (shares / (y.shape[1] * y.shape[2]))[:, None, None, None]
    return weights * (dmean + (2 * dvar) * (y - mean)), None


moments.defvjp(_moments_forward, _moments_backward)


def _windows(y: Float[Array, "batch height width channels"]) -> list[Float[Array, "batch rows columns channels"]]:
    """The four pixels of each 2x2 window, in row-major order."""
    return [y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def _winner(values: Sequence[Array]) -> tuple[Array, Int8[Array, "..."]]:
    """The largest of the values and which it is: the first at ties, as in torch; -1 if none is above zero."""
    top, index = values[0], jnp.zeros(values[0].shape, jnp.int8)
    for i, value in enumerate(values[1:], 1):
        index = jnp.where(value > top, jnp.int8(i), index)
        top = jnp.maximum(top, value)
    return top, jnp.where(top > 0, index, jnp.int8(-1))


def _add(terms: Sequence[Array]) -> Array:
    return sum(terms[1:], start=terms[0])


def _spread(a: Shaped[Array, "batch rows columns channels"]) -> Shaped[Array, "batch rows 2 columns 2 channels"]:
    batch, rows, columns, channels = a.shape
    return jnp.broadcast_to(a[:, :, None, :, None, :], (batch, rows, 2, columns, 2, channels))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _rectify_pool(
    pool: Pool,
    sums: Sum,
    y: Float[Array, "batch height width channels"],
    mean: Float[Array, " channels"],
    scale: Float[Array, " channels"],
    shift: Float[Array, " channels"],
) -> Float[Array, "batch rows columns channels"]:
    """Pool max(0, (y - mean) scale + shift)."""
    return _rectify_pool_forward(pool, sums, y, mean, scale, shift)[0]


def _rectify_pool_forward(
    pool: Pool, _: Sum, y: Array, mean: Array, scale: Array, shift: Array
) -> tuple[Array, tuple[Array, Array, Array, Array, Array | None]]:
    def affine(a: Array) -> Array:
        return (a - mean) * scale + shift

    if pool == "max":
        top, index = _winner([affine(a) for a in _windows(y)])
        return jnp.maximum(top, 0), (y, mean, scale, shift, index)
    if pool == "average":
        return _add([jnp.maximum(affine(a), 0) for a in _windows(y)]) / 4, (y, mean, scale, shift, None)
    return jnp.maximum(affine(y), 0), (y, mean, scale, shift, None)


def _rectify_pool_backward(
    pool: Pool, sums: Sum, residuals: tuple[Array, Array, Array, Array, Array | None], gradient: Array
) -> tuple[Array, Array, Array, Array]:
    y, mean, scale, shift, index = residuals
    if index is not None:
        pixel = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
        active = jnp.where(_spread(index) == pixel, _spread(gradient), 0).reshape(y.shape)
        won = _add([jnp.where(index == i, a, 0) for i, a in enumerate(_windows(y))])
        weighted, centred = jnp.where(index >= 0, gradient, 0), won - mean
    else:
        upstream = _spread(gradient / 4).reshape(y.shape) if pool == "average" else gradient
        active = jnp.where((y - mean) * scale + shift > 0, upstream, 0)
        weighted, centred = active, y - mean
    dshift = _sum_pixels(sums, weighted)
    return active * scale, -scale * dshift, _sum_pixels(sums, weighted * centred), dshift


_rectify_pool.defvjp(_rectify_pool_forward, _rectify_pool_backward)


def _patches(x: Float[Array, "batch height width cin"], stride: int) -> Float[Array, "batch positions pixels patch"]:
    """Return each pixel's 3x3 surroundings and a one.

    With stride 2, the positions are the four of a 2x2 window; with stride 1 there is one.
    """
    batch, height, width, cin = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    ones = jnp.ones((batch, height // stride, width // stride, 1), x.dtype)
    parts = [
        jnp.concatenate(
            [
                padded[:, i + a : i + a + height : stride, j + b : j + b + width : stride]
                for a in range(3)
                for b in range(3)
            ]
            + [ones],
            3,
        ).reshape(batch, -1, 9 * cin + 1)
        for i in range(stride)
        for j in range(stride)
    ]
    return jnp.stack(parts, 1)


def _block_of_patches(
    x: Float[Array, "batch height width cin"],
    kernel: Float[Array, "3 3 cin cout"],
    bias: Float[Array, " cout"],
    norm: Norm | None,
    *,
    pool: Pool,
    epsilon: float,
) -> tuple[Float[Array, "batch rows columns cout"], Statistics | None]:
    batch, height, width, _ = x.shape
    cout = kernel.shape[-1]
    stride = 1 if pool == "none" else 2
    patches = _patches(x, stride)
    matrix: Array = kernel.reshape(-1, cout)
    statistics = None
    if norm is not None:
        scale, shift, given = norm
        if not isinstance(given, tuple):
            given = statistics = _patch_moments(patches, matrix, bias, given)
        mean, var = given
        factor = scale * lax.rsqrt(var + epsilon)
        matrix, bias = matrix * factor, (bias - mean) * factor + shift
    y: Array = _patch_layer(pool, patches, jnp.concatenate([matrix, bias[None]]))
    return y.reshape(batch, height // stride, width // stride, cout), statistics


def _patch_moments(
    patches: Float[Array, "batch positions pixels patch"],
    matrix: Float[Array, "inputs cout"],
    bias: Float[Array, " cout"],
    shares: Shares,
) -> Statistics:
    """Mean and variance of the convolution's output, from those of its inputs."""
    rows = patches[..., :-1].reshape(len(patches), -1, matrix.shape[0])
    pixels = rows.shape[1]
    mean = _sum_pixels(sum_by_products, rows, shares) / pixels
    centred = rows - mean
    covariance = jnp.tensordot(shares, _batch_dot(centred, centred), 1) / pixels
    return mean @ matrix + bias, jnp.sum(matrix * (covariance @ matrix), 0)


def _values(patches: Float[Array, "some positions pixels patch"], matrix: Float[Array, "patch cout"]) -> list[Array]:
    return [patches[:, i] @ matrix for i in range(patches.shape[1])]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _patch_layer(
    pool: Pool, patches: Float[Array, "batch positions pixels patch"], matrix: Float[Array, "patch cout"]
) -> Float[Array, "batch pixels cout"]:
    """Pool max(0, patches @ matrix) over positions."""

    def layer(some: Float[Array, "some positions pixels patch"]) -> Float[Array, "some pixels cout"]:
        values = _values(some, matrix)
        if pool == "max":
            return jnp.maximum(_winner(values)[0], 0)
        return _add([jnp.maximum(v, 0) for v in values]) / len(values)

    return map_images(layer, (patches,), _patch_images(patches))


def _patch_images(patches: Float[Array, "batch positions pixels patch"]) -> int:
    return max(1, PATCHES_AT_ONCE // (patches.shape[1] * patches.shape[2]))


def _patch_layer_forward(pool: Pool, patches: Array, matrix: Array) -> tuple[Array, tuple[Array, Array]]:
    return _patch_layer(pool, patches, matrix), (patches, matrix)


def _patch_layer_backward(pool: Pool, residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    patches, matrix = residuals

    def through(some: Array, upstream: Array) -> list[Array]:
        """The gradient of each position's value."""
        values = _values(some, matrix)
        if pool == "max":
            _, index = _winner(values)
            return [jnp.where(index == i, upstream, 0) for i in range(len(values))]
        return [jnp.where(v > 0, upstream / len(values), 0) for v in values]

    def matrix_gradient(some: Array, upstream: Array) -> Array:
        parts = through(some, upstream)
        contract = (((0, 1), (0, 1)), ((), ()))
        return _add([lax.dot_general(some[:, i], d, contract) for i, d in enumerate(parts)])

    def patch_gradient(some: Array, upstream: Array) -> Array:
        return jnp.stack([d @ matrix.T for d in through(some, upstream)], 1)

    # Two loops, so that XLA can drop the second where, as is usual, nobody asks for the image's gradient.
    at_once = _patch_images(patches)
    dmatrix = sum_images(matrix_gradient, (patches, gradient), at_once)
    return map_images(patch_gradient, (patches, gradient), at_once), dmatrix


_patch_layer.defvjp(_patch_layer_forward, _patch_layer_backward)
