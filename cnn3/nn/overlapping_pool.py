"""Pooling of windows that overlap, as slices, for CPUs: XLA's own gradient of max-pooling is slow there."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float


def pool_overlapping(
    x: Float[Array, "batch height width channels"], pool: Literal["max", "average"], window: int
) -> Float[Array, "batch rows columns channels"]:
    """Return the maximum or mean of each window, with stride 2, of values that are at least zero, as a ReLU's are.

    What lies outside the image counts as zero; of an odd number of such pixels, the extra one comes after the image.
    At ties the gradient of the maximum goes to the first.
    """
    height, width = x.shape[1:3]
    padding = [_padding(size, window) for size in (height, width)]
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    last = [before + size + after - window for size, (before, after) in zip((height, width), padding, strict=True)]
    values = [padded[:, i : i + last[0] + 1 : 2, j : j + last[1] + 1 : 2] for i in range(window) for j in range(window)]
    pooled = values[0]
    for value in values[1:]:
        pooled = jnp.where(value > pooled, value, pooled) if pool == "max" else pooled + value
    return pooled if pool == "max" else pooled / window**2


def _padding(size: int, window: int) -> tuple[int, int]:
    """Return the pixels outside an image along an axis, before and after it, as XLA's SAME has them."""
    total = max(0, (-(-size // 2) - 1) * 2 + window - size)
    return total // 2, total - total // 2
