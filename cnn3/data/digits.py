"""scikit-learn's handwritten digits, enlarged to the size of CIFAR-10's images."""

import numpy as np

from cnn3.data.dataset import CLASS_NAMES
from cnn3.data.splits import Source, Split, digest_splits, subset

TEST_IMAGES = 360  # a fifth of the 1,797 digits, the same for all seeds: scikit-learn has no test set


def read() -> Source:
    """Return scikit-learn's 8x8 digits of 17 grey levels, enlarged to 32x32 by bilinear interpolation."""
    from PIL import Image
    from sklearn.datasets import load_digits

    values, labels = map(np.asarray, load_digits(return_X_y=True))  # its types allow data frames
    small = np.rint(values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    grey = np.stack([np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)) for image in small])
    images = np.repeat(grey[..., None], 3, axis=-1)
    order = np.random.RandomState(0).permutation(len(labels))  # the digits are ordered by writer
    digits = Split(images, labels.astype(np.int32))
    train, test = subset(digits, order[:-TEST_IMAGES]), subset(digits, order[-TEST_IMAGES:])
    return Source(train, test, digest_splits({"train": train, "test": test}), CLASS_NAMES["digits"])
