"""Moments of each pixel of three pictures after a million random transforms by Pillow, stored in augmentation.npz.

`python -m tests.golden.augmentation` makes the file again, in minutes. NumPy draws the parameters and Pillow transforms
the images; nothing is computed by cnn3. The file here was made with NumPy 2.4, Pillow 13.0 and
scikit-learn 1.9's pictures.
"""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_sample_image

from tests.helpers.pillow_transforms import transform_with_pillow

FILE = Path(__file__).with_name("augmentation.npz")
BLOCK, BLOCKS = 1000, 1000  # draws in a block, and blocks


def picture() -> np.ndarray:
    """Return an image whose channels are three real pictures: a handwritten digit, a roof and a flower, in grey."""
    digit = load_digits(return_X_y=True)[0][3].reshape(8, 8).repeat(4, 0).repeat(4, 1) * 15.9375
    roof = load_sample_image("china.jpg")[150:182, 300:332].mean(-1)
    flower = load_sample_image("flower.jpg")[180:212, 250:282].mean(-1)
    return np.stack([digit, roof, flower], -1).astype(np.uint8)


def block(number: int) -> np.ndarray:
    """Return the picture after each of a block of transforms, drawn as torchvision draws them."""
    from cnn3.training.augment import TransformParams

    rng, image, shape = np.random.default_rng([3136, number]), picture(), (BLOCK,)
    fields: tuple[Any, ...] = (
        rng.integers(0, 9, (BLOCK, 2)) - 4,  # RandomCrop(32, padding=4)
        rng.random(shape) < 0.5,  # RandomHorizontalFlip()
        rng.uniform(-10, 10, shape),  # RandomRotation(10)
        rng.uniform(-10, 10, shape),  # RandomAffine(0, shear=10, scale=(0.8, 1.2))
        rng.uniform(0.8, 1.2, shape),
    )
    return np.stack([transform_with_pillow(image, TransformParams(*params)) for params in zip(*fields, strict=True)])


def main() -> None:
    """Write the file."""
    powers, black = np.zeros((4, 32, 32, 3), np.int64), np.zeros((32, 32), np.int64)
    for number in range(BLOCKS):
        images = block(number).astype(np.int64)
        powers += np.stack([(images**k).sum(0) for k in (1, 2, 3, 4)])
        black += (images == 0).all(-1).sum(0)
    mean, second, third, fourth = powers / (BLOCK * BLOCKS)
    moments = {
        "mean": mean,
        "variance": second - mean**2,
        "fourth": fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4,  # central moment
        "black": black / (BLOCK * BLOCKS),
        "first": block(0).mean(0),
    }
    np.savez_compressed(FILE, **{name: value.astype(np.float32) for name, value in moments.items()})


if __name__ == "__main__":
    main()
