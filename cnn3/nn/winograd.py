"""3x3 convolution by Winograd's minimal filtering F(4x4, 3x3), as matrix products, for CPUs.

Every 4x4 tile of outputs takes 36 multiplications for each pair of channels instead of 144 (S. Winograd, Arithmetic
Complexity of Computations, 1980; A. Lavin and S. Gray, arXiv 1509.09308, section 4.1): with tiles d of 6x6 inputs,

    y = A' [(G k G') * (B' d B)] A

summed over input channels, which turns the element-wise product into 36 matrix products. All of it is linear in x and
in k, so the gradients are of the same form; both are written out here, because those that automatic
differentiation derives from slices are several times slower.

Sums are ordered by position within a tile, so outputs that tie under exact arithmetic may differ by rounding, and
max-pooling may pick another pixel than it would after a direct convolution. The gradient's total is the same. In
float32, the outputs and gradients of a block with 256 input channels and batch norm differed from those in float64 by
less than 7e-6 of the largest value.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE = 4  # outputs of a tile along each axis; it reads TILE + 2 inputs
POINTS = TILE + 2
TILES_PER_CHUNK = 128  # a chunk has to stay in the cache while it is transformed and multiplied

# Lavin and Gray, section 4.1, for the interpolation points 0, 1, -1, 2, -2 and infinity.
INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


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
) -> list[Float[Array, "6 tiles channels"]]:
    """Apply `matrix` to all tiles, down the columns and along the rows, as sums of slices.

    Tiles start every 4 pixels, at `before` pixels outside the image, and are as wide as the matrix. The list is over
    the six points along a row, the first axis over those down a column.
    """
    _, height, width, channels = x.shape
    tile_rows, tile_columns = _tiles(height), _tiles(width)
    size = matrix.shape[1]

    def margins(pixels: int, tiles: int) -> tuple[int, int]:
        return before, TILE * (tiles - 1) + size - before - pixels

    x = jnp.pad(x, ((0, 0), margins(height, tile_rows), margins(width, tile_columns), (0, 0)))
    rows = [x[:, i : i + TILE * (tile_rows - 1) + 1 : TILE] for i in range(size)]
    z = jnp.stack([_combine(coefficients, rows) for coefficients in matrix])
    columns = [z[:, :, :, i : i + TILE * (tile_columns - 1) + 1 : TILE] for i in range(size)]
    return [_combine(coefficients, columns).reshape(POINTS, -1, channels) for coefficients in matrix]


def _transform_input(x: Float[Array, "batch height width channels"]) -> list[Float[Array, "6 tiles channels"]]:
    return _transform(INPUT, 1, x)


def _transform_output(
    products: Sequence[Float[Array, "6 tiles channels"]], batch: int, height: int, width: int
) -> Float[Array, "batch height width channels"]:
    """Transform the products at the 36 points into outputs of the given size; down the columns by a matrix product."""
    tile_rows, tile_columns = _tiles(height), _tiles(width)
    channels = products[0].shape[-1]
    matrix = jnp.asarray(OUTPUT, products[0].dtype)
    rows = [(matrix @ p.reshape(POINTS, -1)).reshape(TILE, batch, tile_rows, tile_columns, channels) for p in products]
    z = jnp.stack([_combine(row, rows) for row in OUTPUT], 4)
    y = z.transpose(1, 2, 0, 3, 4, 5).reshape(batch, TILE * tile_rows, TILE * tile_columns, channels)
    return y[:, :height, :width]


def _transform_kernel(kernel: Float[Array, "3 3 cin cout"]) -> list[Float[Array, "6 cin cout"]]:
    """Apply `KERNEL` down the columns and along the rows; the list is over the points along a row."""
    matrix = jnp.asarray(KERNEL, kernel.dtype)
    z = (matrix @ kernel.reshape(3, -1)).reshape(POINTS, *kernel.shape[1:])
    columns = [z[:, j] for j in range(3)]
    return [_combine(coefficients, columns) for coefficients in KERNEL]


def _transform_kernel_transposed(points: Float[Array, "6 6 cout cin"]) -> Float[Array, "3 3 cin cout"]:
    """Return the gradient of a kernel, given that of its transform, whose first axis is along a row."""
    matrix = jnp.asarray(KERNEL.T, points.dtype)
    z = (matrix @ points.reshape(POINTS, -1)).reshape(3, *points.shape[1:])
    rows = [z[:, r] for r in range(POINTS)]
    return jnp.stack([_combine(coefficients, rows) for coefficients in KERNEL.T]).swapaxes(2, 3)


def _convolve(
    x: Float[Array, "batch height width cin"], kernel: Float[Array, "3 3 cin cout"]
) -> Float[Array, "batch height width cout"]:
    points = _transform_kernel(kernel)

    def convolve(images: Float[Array, "chunk height width cin"]) -> Float[Array, "chunk height width cout"]:
        inputs = _transform_input(images)
        products = [_batch_matmul(v, u) for v, u in zip(inputs, points, strict=True)]
        return _transform_output(products, *images.shape[:3])

    return map_images(convolve, (x,), _images_per_chunk(x))


def _batch_matmul(a: Float[Array, "b m k"], b: Float[Array, "b k n"]) -> Float[Array, "b m n"]:
    return lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,))))


def _kernel_gradient(
    x: Float[Array, "batch height width cin"], dy: Float[Array, "batch height width cout"]
) -> Float[Array, "3 3 cin cout"]:
    def gradient(
        images: Float[Array, "chunk height width cin"], gradients: Float[Array, "chunk height width cout"]
    ) -> Float[Array, "6 6 cout cin"]:
        inputs = _transform_input(images)
        outputs = _transform(OUTPUT.T, 0, gradients)
        return jnp.stack(
            [lax.dot_general(m, v, (((1,), (1,)), ((0,), (0,)))) for v, m in zip(inputs, outputs, strict=True)]
        )

    return _transform_kernel_transposed(sum_images(gradient, (x, dy), 2 * _images_per_chunk(x)))


@jax.custom_vjp
def conv3x3(
    x: Float[Array, "batch height width cin"], kernel: Float[Array, "3 3 cin cout"]
) -> Float[Array, "batch height width cout"]:
    """Convolve with stride 1 and zero padding 1, as `lax.conv_general_dilated` does with padding "SAME"."""
    return _convolve(x, kernel)


def _conv3x3_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel), (x, kernel)


def _conv3x3_backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = residuals
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return _convolve(dy, flipped), _kernel_gradient(x, dy)


conv3x3.defvjp(_conv3x3_forward, _conv3x3_backward)
