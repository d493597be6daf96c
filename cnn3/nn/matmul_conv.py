"""Convolution with a kernel of any size as matrix products of patches, for CPUs.

In a compiled loop, where an epoch's steps are, XLA's own convolution takes 30 to 60 times as long on a CPU.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnn3.nn.winograd import map_images, sum_images

VALUES_PER_CHUNK = 2**18  # of the patches that are multiplied at a time: 1 MB, which stays in the cache


def matmul_conv(
    x: Float[Array, "batch height width cin"], kernel: Float[Array, "side side cin cout"]
) -> Float[Array, "batch height width cout"]:
    """Convolve images, padded with zeros so that their size stays; of an odd number, the extra one comes after them."""
    return _convolve((len(kernel) - 1) // 2, x, kernel)


def _patches(
    before: int, side: int, x: Float[Array, "batch height width cin"]
) -> Float[Array, "batch height width patch"]:
    """Return the `side` x `side` pixels that start `before` pixels above and to the left of each pixel.

    Rows are joined first, which is faster than to join all pixels at once.
    """
    _, height, width, _ = x.shape
    padding = (before, side - 1 - before)
    padded = jnp.pad(x, ((0, 0), padding, padding, (0, 0)))
    rows = jnp.concatenate([padded[:, :, j : j + width] for j in range(side)], 3)
    return jnp.concatenate([rows[:, i : i + height] for i in range(side)], 3)


def _images_per_chunk(x: Float[Array, "batch height width cin"], side: int) -> int:
    return max(1, VALUES_PER_CHUNK // (x[0].size * side**2))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(
    before: int, x: Float[Array, "batch height width cin"], kernel: Float[Array, "side side cin cout"]
) -> Float[Array, "batch height width cout"]:
    side, matrix = len(kernel), kernel.reshape(-1, kernel.shape[-1])
    return map_images(lambda images: _patches(before, side, images) @ matrix, (x,), _images_per_chunk(x, side))


def _convolve_forward(before: int, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(before, x, kernel), (x, kernel)


def _convolve_backward(before: int, residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    side = len(kernel)

    def matrix_gradient(images: Array, upstream: Array) -> Array:
        return jnp.tensordot(_patches(before, side, images), upstream, ((0, 1, 2), (0, 1, 2)))

    # The image's gradient is a convolution with the kernel turned round. It is a loop of its own, so that XLA can drop
    # it where it is not used, as in the first layer.
    dmatrix = sum_images(matrix_gradient, (x, gradient), _images_per_chunk(x, side))
    dx: Any = _convolve(side - 1 - before, gradient, kernel[::-1, ::-1].swapaxes(2, 3))
    return dx, dmatrix.reshape(kernel.shape)


_convolve.defvjp(_convolve_forward, _convolve_backward)
