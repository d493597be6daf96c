"""The original study's random transforms, as torchvision applies them to a PIL image."""

import math

import numpy as np
from PIL import Image, ImageOps

from cnn3.training.augment import TransformParams

NEAREST, AFFINE = Image.Resampling.NEAREST, Image.Transform.AFFINE
BLACK = (0, 0, 0)
MAX_PADDING = 16


def affine_matrix(shear: float, scale: float) -> list[float]:
    """Return torchvision's inverse matrix for RandomAffine(0, shear=..., scale=...), about the centre of the image."""
    a, b = 1 / scale, math.tan(math.radians(shear)) / scale
    return [a, b, 16 - 16 * (a + b), 0, a, 16 - 16 * a]


def transform_with_pillow(image: np.ndarray, draws: TransformParams) -> np.ndarray:
    """Transform one image by its draws."""
    dy, dx = (MAX_PADDING + int(n) for n in draws.offset)
    result = ImageOps.expand(Image.fromarray(image), MAX_PADDING, BLACK).crop((dx, dy, dx + 32, dy + 32))
    if draws.flip:
        result = ImageOps.mirror(result)
    result = result.rotate(float(draws.angle), NEAREST, fillcolor=BLACK)
    matrix = affine_matrix(float(draws.shear), float(draws.scale))
    return np.asarray(result.transform((32, 32), AFFINE, matrix, NEAREST, fillcolor=BLACK))
