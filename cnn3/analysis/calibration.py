"""What answers tell of a classifier beyond its accuracy: which classes it confuses, how far it can be trusted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

BINS = 15  # of equal width, as C. Guo et al., On Calibration of Modern Neural Networks, 2017, section 5

Probabilities = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, " n"]


class Reliability(NamedTuple):
    """How often answers of like confidence, the probability of the class answered, are right: a value a bin."""

    images: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]  # the mean; not a number where a bin is empty
    accuracy: Float[np.ndarray, " bins"]


def confusion(labels: Labels, answers: Labels, classes: int) -> Int[np.ndarray, "classes classes"]:
    """Return how many images of each class, a row each, were taken for each class."""
    return np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def reliability(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Reliability:
    """Sort answers by confidence into bins ((i - 1)/bins, i/bins] (Guo et al., section 2)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    some = np.where(count > 0, count, np.nan)
    return Reliability(
        count,
        np.bincount(index, confidence, minlength=bins) / some,
        np.bincount(index, right, minlength=bins) / some,
    )


def calibration_error(of: Reliability) -> float:
    """Return the expected calibration error: the mean of |accuracy - confidence| (Guo et al., formula 3)."""
    gaps = np.abs(of.accuracy - of.confidence)
    return float(np.nansum(gaps * of.images) / of.images.sum())


def confident_mistakes(probabilities: Probabilities, labels: Labels, most: int) -> Int[np.ndarray, " mistakes"]:
    """Return the indices of at most so many wrong answers, the most confident first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-probabilities.max(1)[wrong], kind="stable")][:most]
