"""How far chance (another seed, other images) could move a result.

With at least three seeds on both sides, the spread is measured over the seeds. With fewer it is assumed: none of
the study's configurations has been trained to the end often enough to measure it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from scipy.stats import t as student

from experiments.support.reported import IMAGES

LEVEL = 0.95
MIN_SEEDS = 3  # with fewer, the spread over the seeds is assumed
MARGINS: Mapping[str, float] = {  # two results that differ by no more count as the same
    "accuracy": 0.02,
    "loss": 0.06,  # in the five test results of the original study, a point of accuracy comes with 0.03 nats
}
SEED_STD: Mapping[str, float] = {"accuracy": 0.01, "loss": 0.03}  # assumed for runs at full length; see `SOURCE`
SOURCE = (
    "With fewer than three seeds, the standard deviation between seeds is assumed to be 1 point of accuracy (0.03 nats "
    "of loss), since it has not been measured for the study's runs at full length. Seeds of its networks have only "
    "been compared after three epochs (docs/pytorch.md). They differ by 0.4 points with batch norm and by 4 without, "
    "where accuracy still rises steeply. Together with the sampling error of 10,000 test or 5,000 validation images, "
    "two single runs must differ by about 3 points before anything is concluded from it."
)
LOSS_STD = 1.0  # nats, of the cross entropy over images; 1.05 was measured with the tuned model on the test images
EPOCHS_FACTOR = 1.5  # assumed: the factor by which the numbers of epochs of two single runs must differ
EPOCHS_MARGIN = 0.2  # numbers of epochs within a fifth of each other count as the same


@dataclass(frozen=True)
class Difference:
    """A mean difference, and how far chance alone could have moved it.

    Args:
        value: the difference in the unit of the metric.
        half_width: half the width of its 95% confidence interval.
    """

    value: float
    half_width: float

    def exceeds(self, bound: float = 0.0) -> bool:
        """Whether it is above a bound by more than chance."""
        return self.value - self.half_width > bound

    def stays_below(self, bound: float = 0.0) -> bool:
        """Whether it is below a bound by more than chance."""
        return self.value + self.half_width < bound


def paired_difference(pairs: Sequence[tuple[float, float]], split: str, metric: str) -> Difference:
    """Return by how much the first values of pairs exceed the second on average; each pair is of one seed."""
    values = [first - second for first, second in pairs]
    if len(values) >= MIN_SEEDS:
        return Difference(fmean(values), mean_half_width(values))
    sampling = sum(_image_variance(fmean(side), split, metric) for side in zip(*pairs, strict=True))
    variance = sampling + 2 * SEED_STD[metric] ** 2
    return Difference(fmean(values), _z() * (variance / len(values)) ** 0.5)


def difference_from(values: Sequence[float], printed: float, split: str, metric: str) -> Difference:
    """Return by how much the mean of values exceeds the printed result of a single run, which varies by chance too."""
    difference, count = fmean(values) - printed, len(values)
    if count >= MIN_SEEDS:
        return Difference(difference, _t(count) * stdev(values) * (1 + 1 / count) ** 0.5)
    variance = SEED_STD[metric] ** 2 + _image_variance(fmean(values), split, metric)
    return Difference(difference, _z() * (variance * (1 + 1 / count)) ** 0.5)


def sampling_difference(before: float, after: float, images: int) -> Difference:
    """Return by how much accuracy rises within a run; chance is the sampling error of the images alone."""
    variance = (before * (1 - before) + after * (1 - after)) / images
    return Difference(after - before, _z() * variance**0.5)


def mean_half_width(values: Sequence[float]) -> float:
    """Return half the width of the confidence interval of the mean of at least two values, by Student's t."""
    return _t(len(values)) * stdev(values) / len(values) ** 0.5


def _image_variance(value: float, split: str, metric: str) -> float:
    variance = value * (1 - value) if metric == "accuracy" else LOSS_STD**2
    return variance / IMAGES[split]


def _t(count: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, count - 1))


def _z() -> float:
    return NormalDist().inv_cdf((1 + LEVEL) / 2)
