"""A classifier beyond its accuracy: which classes it confuses, and how well its confidence is calibrated."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

BINS = 15  # of equal width, as C. Guo et al., On Calibration of Modern Neural Networks, 2017, section 5

Probabilities = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, " n"]


class Reliability(NamedTuple):
    """How often predictions of similar confidence (the probability of the predicted class) are correct, by bin."""

    images: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]  # the mean; NaN where a bin is empty
    accuracy: Float[np.ndarray, " bins"]


def confusion(labels: Labels, predictions: Labels, classes: int) -> Int[np.ndarray, "classes classes"]:
    """Return the confusion matrix: entry (i, j) is the number of images of class i that were predicted as class j."""
    return np.bincount(labels * classes + predictions, minlength=classes**2).reshape(classes, classes)


def reliability(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> Reliability:
    """Sort predictions by confidence into bins ((i - 1)/bins, i/bins] (Guo et al., section 2)."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    nonzero = np.where(count > 0, count, np.nan)
    return Reliability(
        count,
        np.bincount(index, confidence, minlength=bins) / nonzero,
        np.bincount(index, correct, minlength=bins) / nonzero,
    )


def calibration_error(bins: Reliability) -> float:
    """Return the expected calibration error: the mean of |accuracy - confidence| (Guo et al., formula 3)."""
    gaps = np.abs(bins.accuracy - bins.confidence)
    return float(np.nansum(gaps * bins.images) / bins.images.sum())


def confident_mistakes(probabilities: Probabilities, labels: Labels, max_count: int) -> Int[np.ndarray, " mistakes"]:
    """Return the indices of at most `max_count` wrong predictions, the most confident first."""
    incorrect = np.flatnonzero(probabilities.argmax(1) != labels)
    return incorrect[np.argsort(-probabilities.max(1)[incorrect], kind="stable")][:max_count]
