"""The original study's five random transforms of training images (its section 1.1 and train.py), on the device.

In this order: zero-pad and crop 32x32; flip horizontally; rotate; shear along x and scale. Rotation and affine map
each resample by nearest neighbour about the image's centre; what comes from outside is black. Each transform says from
which input pixel an output pixel comes, so their integer maps compose and an image is gathered once, black where any of
the maps leaves it.

The maps are those of Pillow, which torchvision uses in the original program. Pillow resamples in fixed point: it rounds
an affine map's six coefficients to 1/65536 of a pixel and continues in integers (Geometry.c's `affine_fixed`). From
the same six integers follow the same pixels, so they are computed here in int32 with 30 fractional bits. In 100,000
draws at the default bounds one pixel in 7 million differed from Pillow's; in 20,000 of them, with coefficients computed
in float32, it was one in 450,000, with coordinates in float32 one in 4,200. Two causes remain:
- A coefficient within about 1/1000 of a unit of a rounding boundary may come out one unit off. That moves a coordinate
  by 1/65536 to 1/1024 of a pixel, which matters only if it lies so close to a pixel's edge.
- For a shear of exactly 0, by default one draw in 2^23, Pillow resamples in double precision (`ImagingScaleAffine`) and
  not in fixed point, which is up to 1/4096 of a pixel off: one pixel in 6,000 differs then.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int32, PRNGKeyArray, UInt8

from cnn3.config import AugmentConfig

IMAGE_SIZE = 32  # pixels along a side of an image
MEAN = (0.485, 0.456, 0.406)  # ImageNet's, as the original study has it
STD = (0.229, 0.224, 0.225)


class Bounds(NamedTuple):
    """How far the transforms go: the fields of `AugmentConfig` as numbers, which may be traced."""

    padding: float | Float[Array, ""]  # pixels, an integer
    flip: float | Float[Array, ""]
    rotation: float | Float[Array, ""]
    shear: float | Float[Array, ""]
    min_scale: float | Float[Array, ""]  # scale
    max_scale: float | Float[Array, ""]
    cutout: float | Float[Array, ""] | None = None  # pixels, an integer; None leaves it out of the program


class TransformParams(NamedTuple):
    """The random numbers that transform a batch."""

    offset: Int[Array, "batch 2"]  # (dy, dx) of the crop's corner from the image's own, at most the padding either way
    flip: Bool[Array, " batch"]
    angle: Float[Array, " batch"]  # degrees counterclockwise
    shear: Float[Array, " batch"]  # degrees
    scale: Float[Array, " batch"]


def bounds(config: AugmentConfig) -> Bounds:
    """Return the numbers of a configuration."""
    cutout = float(config.cutout) if config.cutout else None
    return Bounds(float(config.padding), config.flip, config.rotation, config.shear, *config.scale, cutout)


def sample_params(key: PRNGKeyArray, batch: int, bounds: Bounds) -> TransformParams:
    """Draw the transforms of `batch` images: a flip with its probability, all else uniform (the study's train.py)."""
    offset, flip, angle, shear, scale = jax.random.split(key, 5)
    padding = jnp.asarray(bounds.padding).astype(jnp.int32)
    return TransformParams(
        offset=jax.random.randint(offset, (batch, 2), 0, 2 * padding + 1) - padding,
        flip=jax.random.bernoulli(flip, bounds.flip, (batch,)),
        angle=jax.random.uniform(angle, (batch,), minval=-bounds.rotation, maxval=bounds.rotation),
        shear=jax.random.uniform(shear, (batch,), minval=-bounds.shear, maxval=bounds.shear),
        scale=jax.random.uniform(scale, (batch,), minval=bounds.min_scale, maxval=bounds.max_scale),
    )


def transform(images: UInt8[Array, "batch 32 32 3"], params: TransformParams) -> UInt8[Array, "batch 32 32 3"]:
    """Crop, flip, rotate, then shear and scale each image by its own draws, within what `AugmentConfig` allows."""
    return jax.vmap(_transform)(images, params)


def augment(key: PRNGKeyArray, images: UInt8[Array, "batch 32 32 3"], bounds: Bounds) -> UInt8[Array, "batch 32 32 3"]:
    """Transform each image at random."""
    transformed = transform(images, sample_params(key, len(images), bounds))
    if bounds.cutout is None:
        return transformed
    unused = len(TransformParams._fields)  # `sample_params` draws by those before it
    return cutout(jax.random.fold_in(key, unused), transformed, bounds.cutout)


def cutout(
    key: PRNGKeyArray, images: UInt8[Array, "batch 32 32 3"], size: float | Float[Array, ""]
) -> UInt8[Array, "batch 32 32 3"]:
    """Blacken a square with sides of `size` pixels in each image (DeVries and Taylor 2017).

    Its centre is uniform over the image, so part of the square may lie outside.
    """
    size = jnp.asarray(size).astype(jnp.int32)
    start = jax.random.randint(key, (len(images), 2, 1), 0, IMAGE_SIZE) - size // 2
    position = jnp.arange(IMAGE_SIZE)
    hidden = (position >= start) & (position < start + size)  # batch, (rows, columns), 32
    return jnp.where((hidden[:, 0, :, None] & hidden[:, 1, None, :])[..., None], 0, images)


def normalize(images: UInt8[Array, "batch 32 32 3"]) -> Float[Array, "batch 32 32 3"]:
    """Scale to [0, 1], then subtract `MEAN` from each channel and divide by `STD` (original study, train.py)."""
    return (images.astype(jnp.float32) / 255 - jnp.array(MEAN)) / jnp.array(STD)


def _transform(image: UInt8[Array, "32 32 3"], params: TransformParams) -> UInt8[Array, "32 32 3"]:
    """`transform` of one image; the fields of `params` lack the batch dimension."""
    row, column = jnp.arange(IMAGE_SIZE)[:, None], jnp.arange(IMAGE_SIZE)[None, :]
    coordinate_bits = jnp.zeros((), jnp.int32)  # all coordinates on the way from output to input, or-ed
    for matrix in (_shear_and_scale(params.shear, params.scale), _rotation(params.angle)):
        row, column = _resample(matrix, row, column)
        coordinate_bits |= row | column
    row = row + params.offset[0]
    column = jnp.where(params.flip, IMAGE_SIZE - 1 - column, column) + params.offset[1]
    inside = (coordinate_bits | row | column) & -IMAGE_SIZE == 0  # 0..31 have no bit but the lowest five
    # Outside points to a black pixel after the last. A mask over what was gathered would be slower: XLA for CPUs fuses
    # it, and with it all of the above, into each consumer (nine for the patches of a convolution), but not a gather.
    index = jnp.where(inside, row * IMAGE_SIZE + column, IMAGE_SIZE * IMAGE_SIZE)
    return jnp.pad(image.reshape(IMAGE_SIZE * IMAGE_SIZE, 3), ((0, 1), (0, 0))).at[index].get(mode="promise_in_bounds")


# Numbers in fixed point: int32 with BITS fractional bits, of magnitude below 2.

Fixed = Int32[Array, ""]
Matrix = tuple[tuple[Fixed, Fixed], tuple[Fixed, Fixed]]  # takes output (x, y) to input (x, y), seen from the centre
Pixels = Int[Array, "..."]
BITS = 30


def _rotation(angle: Float[Array, ""]) -> Matrix:
    """As `PIL.Image.rotate`: counterclockwise by `angle` degrees."""
    x = _radians(angle)
    cos = _series(_multiply(x, x), 1.0, -1 / 2, 1 / 24, -1 / 720)
    sin = _multiply(x, _series(_multiply(x, x), 1.0, -1 / 6, 1 / 120, -1 / 5040))
    return (cos, -sin), (sin, cos)


def _shear_and_scale(shear: Float[Array, ""], scale: Float[Array, ""]) -> Matrix:
    """As torchvision's RandomAffine: x sheared by `shear` degrees, then both scaled by `scale`."""
    x = _radians(shear)
    tan = _multiply(x, _series(_multiply(x, x), 1.0, 1 / 3, 2 / 15, 17 / 315, 62 / 2835))
    inverse = _fixed(1 / scale)  # good to float32's 24 bits; one step of Newton's method doubles them
    inverse += 2 * _multiply(_fixed(0.5) - _multiply(_fixed(scale / 2), inverse), inverse)
    return (inverse, _multiply(tan, inverse)), (jnp.zeros_like(inverse), inverse)


def _resample(matrix: Matrix, row: Pixels, column: Pixels) -> tuple[Pixels, Pixels]:
    """Nearest input pixels (row, column) to output pixels, computed as Pillow does: in units of 2^-16 pixel."""
    (xx, xy), (yx, yy) = matrix
    x = _origin(xx + xy) + column * _pillow(xx) + row * _pillow(xy)
    y = _origin(yx + yy) + column * _pillow(yx) + row * _pillow(yy)
    return y >> 16, x >> 16


def _pillow(a: Fixed) -> Int32[Array, ""]:
    """Pillow's 16.16 fixed point: floor(2^16 a + 1/2)."""
    drop = BITS - 16
    return (a + (1 << drop - 1)) >> drop


def _origin(a: Fixed) -> Int32[Array, ""]:
    """The input coordinate, in Pillow's fixed point, of output pixel 0, whose middle is 1/2 - SIZE/2 off the centre.

    floor(2^16 (SIZE/2 - a (SIZE - 1)/2) + 1/2), of a's high and low bits apart lest they overflow.
    """
    drop = BITS - 15
    high, low = a >> drop, a & (1 << drop) - 1
    return (IMAGE_SIZE << 15) - (IMAGE_SIZE - 1) * high + (((1 << drop - 1) - (IMAGE_SIZE - 1) * low) >> drop)


def _fixed(a: Float[Array, ""] | float) -> Fixed:
    return jnp.round(jnp.asarray(a) * 2.0**BITS).astype(jnp.int32)


def _radians(degrees: Float[Array, ""]) -> Fixed:
    return _multiply(_fixed(degrees / 16), _fixed(math.radians(16)))


def _series(x: Fixed, *coefficients: float) -> Fixed:
    """coefficients[0] + coefficients[1] x + ..."""
    total = _fixed(0.0)
    for coefficient in reversed(coefficients):
        total = _fixed(coefficient) + _multiply(x, total)
    return total


def _multiply(a: Fixed, b: Fixed) -> Fixed:
    """Round a b, computed from the 15-bit halves of a and b; abs(a) + abs(b) must be below 2."""
    half = BITS // 2
    (a, a_low), (b, b_low) = ((n >> half, n & (1 << half) - 1) for n in (a, b))
    return a * b + ((a * b_low + a_low * b + (a_low * b_low >> half) + (1 << half - 1)) >> half)
