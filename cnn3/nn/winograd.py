"""Convolution by Winograd's minimal filtering, as matrix products, for kernels of 3x3 and 5x5 pixels and CPUs.

Every 4x4 tile of outputs takes a multiplication for each input that it reads, for each pair of channels: 36 instead of
144 with 3x3 pixels, 64 instead of 400 with 5x5 (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and
S. Gray, arXiv 1509.09308, section 4.1): with tiles d of 6x6 or 8x8 inputs,

    y = A' [(G k G') * (B' d B)] A

summed over input channels, which turns the element-wise product into 36 or 64 matrix products. All of it is linear in x
and in k, so the gradients are of the same form; both are written out here, because those that automatic
differentiation derives from slices are several times slower.

Sums are ordered by position within a tile, so outputs that tie under exact arithmetic may differ by rounding, and
max-pooling may pick another pixel than it would after a direct convolution. The gradient's total is the same. In
float32, the outputs and gradients of a block with 256 input channels and batch norm differed from those in float64 by
at most 8e-6 of the largest value with 3x3 pixels, and 1e-5 with 5x5.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE = 4  # outputs of a tile along each axis; it reads TILE + side - 1 inputs, one for each point
TILES_PER_CHUNK = 128  # a chunk has to stay in the cache while it is transformed and multiplied
INTERPOLATION_POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))  # infinity follows those that are needed


class Filter(NamedTuple):
    """The matrices of minimal filtering: B', G and A' of the formula."""

    inputs: Float[np.ndarray, "points points"]
    kernel: Float[np.ndarray, "points side"]
    outputs: Float[np.ndarray, "tile points"]


@cache
def minimal_filter(tile: int, side: int) -> Filter:
    """Return the matrices of F(tile, side), by Lagrange's interpolation of a product of polynomials.

    The output is the transpose of that product, so the factors' values at the points make G and A, and the
    interpolating polynomials make B. For F(4, 3) and F(2, 3) these are Lavin and Gray's matrices.
    """
    points = [Fraction(p) for p in INTERPOLATION_POINTS[: tile + side - 2]]
    others = [[q for q in points if q != p] for p in points]
    inputs = [[*_coefficients(roots), 0] for roots in others] + [_coefficients(points)]
    scales = [1 / math.prod(p - q for q in roots) for p, roots in zip(points, others, strict=True)]
    at_points = [[scale * p**i for i in range(side)] for p, scale in zip(points, scales, strict=True)]
    kernel = [*at_points, [int(i == side - 1) for i in range(side)]]
    outputs = [[*(p**i for p in points), int(i == tile - 1)] for i in range(tile)]
    return Filter(*(np.array(rows, np.float64) for rows in (inputs, kernel, outputs)))


def _coefficients(roots: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients of the monic polynomial with these roots, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        times_x, times_root = [Fraction(0), *coefficients], [root * c for c in coefficients]
        coefficients = [a - b for a, b in zip(times_x, [*times_root, Fraction(0)], strict=True)]
    return coefficients


def _chunks(arrays: Sequence[Array], chunk_size: int) -> list[Array]:
    """Split batches into chunks of equal size, about `chunk_size`; the last one is padded with zeros."""
    batch = len(arrays[0])
    chunks = math.ceil(batch / chunk_size)
    size = math.ceil(batch / chunks)
    padding = chunks * size - batch
    padded = [jnp.pad(a, ((0, padding),) + ((0, 0),) * (a.ndim - 1)) if padding else a for a in arrays]
    return [a.reshape(chunks, size, *a.shape[1:]) for a in padded]


def map_images(function: Callable[..., Array], arrays: Sequence[Array], chunk_size: int) -> Array:
    """Apply `function` to chunks of images and join the results; it must treat each image independently."""
    chunks = _chunks(arrays, chunk_size)
    joined = lax.map(lambda chunk: function(*chunk), chunks)
    return joined.reshape(-1, *joined.shape[2:])[: len(arrays[0])]


def sum_images(function: Callable[..., Array], arrays: Sequence[Array], chunk_size: int) -> Array:
    """Sum `function` over chunks of images; images of zeros, which may pad the last chunk, must add nothing."""
    chunks = _chunks(arrays, chunk_size)
    shape = jax.eval_shape(function, *(a[0] for a in chunks))
    total, _ = lax.scan(lambda total, chunk: (total + function(*chunk), None), jnp.zeros_like(shape), chunks)
    return total


def _tiles(size: int) -> int:
    return math.ceil(size / TILE)


def _images_per_chunk(x: Array) -> int:
    return max(1, TILES_PER_CHUNK // (_tiles(x.shape[1]) * _tiles(x.shape[2])))


def _combine(coefficients: np.ndarray, terms: Sequence[Array]) -> Array:
    """Sum the terms times their coefficients, without those that are zero."""
    products = [
        t if c == 1 else -t if c == -1 else t * c for c, t in zip(coefficients.tolist(), terms, strict=True) if c
    ]
    return sum(products[1:], start=products[0])


def _transform(
    matrix: np.ndarray, before: int, x: Float[Array, "batch height width channels"]
) -> list[Float[Array, "points tiles channels"]]:
    """Apply `matrix` to all tiles, down the columns and along the rows, as sums of slices.

    Tiles start every `TILE` pixels, at `before` pixels outside the image, and are as wide as the matrix. The list is
    over the points along a row, the first axis over those down a column.
    """
    _, height, width, channels = x.shape
    tile_rows, tile_columns = _tiles(height), _tiles(width)
    points, size = matrix.shape

    def margins(pixels: int, tiles: int) -> tuple[int, int]:
        return before, TILE * (tiles - 1) + size - before - pixels

    x = jnp.pad(x, ((0, 0), margins(height, tile_rows), margins(width, tile_columns), (0, 0)))
    rows = [x[:, i : i + TILE * (tile_rows - 1) + 1 : TILE] for i in range(size)]
    z = jnp.stack([_combine(coefficients, rows) for coefficients in matrix])
    columns = [z[:, :, :, i : i + TILE * (tile_columns - 1) + 1 : TILE] for i in range(size)]
    return [_combine(coefficients, columns).reshape(points, -1, channels) for coefficients in matrix]


def _transform_input(
    x: Float[Array, "batch height width channels"], side: int
) -> list[Float[Array, "points tiles channels"]]:
    return _transform(minimal_filter(TILE, side).inputs, side // 2, x)


def _transform_output(
    products: Sequence[Float[Array, "points tiles channels"]], side: int, batch: int, height: int, width: int
) -> Float[Array, "batch height width channels"]:
    """Transform the products at all points into outputs of the given size; down the columns by a matrix product."""
    tile_rows, tile_columns = _tiles(height), _tiles(width)
    points, _, channels = products[0].shape
    outputs = minimal_filter(TILE, side).outputs
    matrix = jnp.asarray(outputs, products[0].dtype)
    rows = [(matrix @ p.reshape(points, -1)).reshape(TILE, batch, tile_rows, tile_columns, channels) for p in products]
    z = jnp.stack([_combine(row, rows) for row in outputs], 4)
    y = z.transpose(1, 2, 0, 3, 4, 5).reshape(batch, TILE * tile_rows, TILE * tile_columns, channels)
    return y[:, :height, :width]


def _transform_kernel(kernel: Float[Array, "side side cin cout"]) -> list[Float[Array, "points cin cout"]]:
    """Transform the kernel down the columns and along the rows; the list is over the points along a row."""
    side = len(kernel)
    coefficients = minimal_filter(TILE, side).kernel
    matrix = jnp.asarray(coefficients, kernel.dtype)
    z = (matrix @ kernel.reshape(side, -1)).reshape(len(matrix), *kernel.shape[1:])
    columns = [z[:, j] for j in range(side)]
    return [_combine(row, columns) for row in coefficients]


def _transform_kernel_transposed(
    points: Float[Array, "points points cout cin"], side: int
) -> Float[Array, "side side cin cout"]:
    """Return the gradient of a kernel, given that of its transform, whose first axis is along a row."""
    coefficients = minimal_filter(TILE, side).kernel.T
    matrix = jnp.asarray(coefficients, points.dtype)
    z = (matrix @ points.reshape(len(points), -1)).reshape(side, *points.shape[1:])
    rows = [z[:, r] for r in range(len(points))]
    return jnp.stack([_combine(row, rows) for row in coefficients]).swapaxes(2, 3)


def _convolve(
    x: Float[Array, "batch height width cin"], kernel: Float[Array, "side side cin cout"]
) -> Float[Array, "batch height width cout"]:
    side, points = len(kernel), _transform_kernel(kernel)

    def convolve(images: Float[Array, "chunk height width cin"]) -> Float[Array, "chunk height width cout"]:
        inputs = _transform_input(images, side)
        products = [_batch_matmul(v, u) for v, u in zip(inputs, points, strict=True)]
        return _transform_output(products, side, *images.shape[:3])

    return map_images(convolve, (x,), _images_per_chunk(x))


def _batch_matmul(a: Float[Array, "b m k"], b: Float[Array, "b k n"]) -> Float[Array, "b m n"]:
    return lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,))))


def _kernel_gradient(
    side: int, x: Float[Array, "batch height width cin"], dy: Float[Array, "batch height width cout"]
) -> Float[Array, "side side cin cout"]:
    def gradient(
        images: Float[Array, "chunk height width cin"], gradients: Float[Array, "chunk height width cout"]
    ) -> Float[Array, "points points cout cin"]:
        inputs = _transform_input(images, side)
        outputs = _transform(minimal_filter(TILE, side).outputs.T, 0, gradients)
        return jnp.stack(
            [lax.dot_general(m, v, (((1,), (1,)), ((0,), (0,)))) for v, m in zip(inputs, outputs, strict=True)]
        )

    return _transform_kernel_transposed(sum_images(gradient, (x, dy), 2 * _images_per_chunk(x)), side)


@jax.custom_vjp
def winograd_conv(
    x: Float[Array, "batch height width cin"], kernel: Float[Array, "side side cin cout"]
) -> Float[Array, "batch height width cout"]:
    """Convolve images, padded with zeros so that their size stays, with a kernel whose sides are 3 or 5."""
    return _convolve(x, kernel)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel), (x, kernel)


def _backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return _convolve(dy, flipped), _kernel_gradient(len(kernel), x, dy)


winograd_conv.defvjp(_forward, _backward)
