"""How far a result could move for no other reason than another seed or other images.

With at least three seeds on both sides, the spread is that of the seeds themselves. With fewer it is assumed: no
configuration has been trained to the end often enough to measure it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from scipy.stats import t as student

from experiments.support.reported import IMAGES

LEVEL = 0.95
ENOUGH = 3  # seeds whose own spread is used
MARGINS: Mapping[str, float] = {  # within which two results count as the same
    "accuracy": 0.02,
    "loss": 0.06,  # over its five test sets the original study loses 0.03 nats for each point of accuracy
}
SEED_STD: Mapping[str, float] = {"accuracy": 0.01, "loss": 0.03}  # assumed of a run at full length; see `SOURCE`
SOURCE = (
    "With fewer than three seeds, the standard deviation between seeds is assumed to be 1 point of accuracy (0.03 nats "
    "of loss), since it has not been measured for runs at full length. The only seeds compared so far were trained for "
    "three epochs (docs/pytorch.md) and differ by 0.4 points with batch norm and by 4 without, where accuracy still "
    "rises steeply. Together with the sampling error of 10,000 test or 5,000 validation images, two single runs must "
    "then differ by about 3 points before anything is concluded from it."
)
LOSS_STD = 1.0  # nats, of the cross entropy over images; 1.05 was measured with the tuned model on the test images
EPOCHS_FACTOR = 1.5  # assumed likewise: by which numbers of epochs of two single runs must differ
EPOCHS_MARGIN = 0.2  # numbers of epochs within a fifth of each other count as the same


@dataclass(frozen=True)
class Difference:
    """A mean difference and, at a confidence of 95%, how far chance alone could have moved it.

    Args:
        value: in the unit of the metric.
        reach: half of the width of its interval.
    """

    value: float
    reach: float

    def exceeds(self, by: float = 0.0) -> bool:
        """Whether it lies above a bound by more than chance."""
        return self.value - self.reach > by

    def stays_below(self, bound: float = 0.0) -> bool:
        """Whether it lies below a bound by more than chance."""
        return self.value + self.reach < bound


def paired(ours: Mapping[int, float], theirs: Mapping[int, float], split: str, metric: str) -> Difference | None:
    """Return by how much the first lie above the second, seed by seed; None if they share no seed."""
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return None
    values = [ours[seed] - theirs[seed] for seed in seeds]
    if len(values) >= ENOUGH:
        return Difference(fmean(values), _t(len(values)) * stdev(values) / len(values) ** 0.5)
    each = [_image_variance(fmean(of[seed] for seed in seeds), split, metric) for of in (ours, theirs)]
    variance = sum(each) + 2 * SEED_STD[metric] ** 2
    return Difference(fmean(values), _z() * (variance / len(values)) ** 0.5)


def against(ours: Sequence[float], printed: float, split: str, metric: str) -> Difference:
    """Return by how much the mean of ours lies above a number of a single run elsewhere, which chance has moved too."""
    value, count = fmean(ours) - printed, len(ours)
    if count >= ENOUGH:
        return Difference(value, _t(count) * stdev(ours) * (1 + 1 / count) ** 0.5)
    variance = SEED_STD[metric] ** 2 + _image_variance(fmean(ours), split, metric)
    return Difference(value, _z() * (variance * (1 + 1 / count)) ** 0.5)


def of_images(before: float, after: float, images: int) -> Difference:
    """Return by how much one accuracy exceeds another of the same run, as far as the images alone can tell."""
    variance = (before * (1 - before) + after * (1 - after)) / images
    return Difference(after - before, _z() * variance**0.5)


def _image_variance(value: float, split: str, metric: str) -> float:
    spread = value * (1 - value) if metric == "accuracy" else LOSS_STD**2
    return spread / IMAGES[split]


def _t(count: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, count - 1))


def _z() -> float:
    return NormalDist().inv_cdf((1 + LEVEL) / 2)
