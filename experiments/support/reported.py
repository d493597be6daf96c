"""The original study's numbers exactly as printed, where each is printed, and what its accuracies stand for.

All are of CIFAR-10 and of one run each; the study does not say how much another seed would change them. What it states
in words is in `experiments.support.stated_claims`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

from cnn3.training.metrics import Metrics

CITATION = "Y. Harun Kıvrıl, “Assignment 2”, CMPE 597 Deep Learning, Boğaziçi University, 26 May 2021"  # noqa: RUF001
IMAGES: Mapping[str, int] = {"train": 45_000, "validation": 5_000, "test": 10_000}
EVALUATION_BATCH = 64  # of the program that measures test accuracy (eval.py), whatever the batch size of training
UNIT = Fraction(1, 10_000)  # numbers have at most four digits after the point; trailing zeros are left out


class Accuracy(NamedTuple):
    """An accuracy printed without its loss."""

    accuracy: float


class Comparable(NamedTuple):
    """The lowest and highest accuracy over all images that a printed accuracy may stand for."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Return the accuracy to compare with."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        """Return the accuracy for a reader, as a range only if four digits show one."""
        low, high = f"{self.low:.4f}", f"{self.high:.4f}"
        return low if low == high else f"{low} to {high}"


def divisor(split: str, batch_size: int) -> int:
    """Return the number by which the original program divides the correct images of a split: batches x batch size.

    Training and validation images come in batches of the run's size (train.py), test images in batches of 64 (eval.py).
    """
    size = EVALUATION_BATCH if split == "test" else batch_size
    return ceil(IMAGES[split] / size) * size


def correct_counts(printed: float, split: str, batch_size: int) -> range:
    """Return the counts of correct images that may have been printed as this accuracy.

    Some printed numbers are rounded and some are truncated after the fourth digit: 4,103 correct images of 5,120 are
    0.80137, printed as 0.8014; 4,169 are 0.81426, printed as 0.8142. Both are taken as possible.
    """
    number, total = Fraction(str(printed)), divisor(split, batch_size)
    return range(ceil((number - UNIT / 2) * total), ceil((number + UNIT) * total))


def comparable(printed: float, split: str, batch_size: int) -> Comparable:
    """Return the accuracy over all images that a printed one stands for: 0.8014 of 5,120 is 0.8206 of 5,000."""
    counts = correct_counts(printed, split, batch_size)
    return Comparable(counts[0] / IMAGES[split], counts[-1] / IMAGES[split])


def comparable_note(protocol: str) -> str:
    """Return what "made comparable" means, for a reader of a table."""
    published = (
        " Runs of the protocol published divide in the same way, so they are compared with the numbers as printed."
        if protocol == "published"
        else ""
    )
    return (
        f"The original study's numbers are of {AS_PUBLISHED}. That program divides correct answers by batches times "
        "batch size, although the last batch is smaller: validation by 5,120 with batches of 128 or 256 and by 5,056 "
        "with 64; training by 45,056; the test set, always in batches of 64, by 10,048. “Made comparable” is the "
        "corresponding accuracy over all images: 0.8014 of 5,120 is 0.8206 of 5,000."
        f"{published} Its losses are means of batch means, which cannot be undone. Differences are in percentage "
        "points, from the number made comparable to ours."
    )


def rescale(printed: float, split: str, batch_size: int) -> float:
    """Return the accuracy over all images for an accuracy that was only read off a plot."""
    return printed * divisor(split, batch_size) / IMAGES[split]


@dataclass(frozen=True)
class Reported:
    """The numbers that the original study prints about a run.

    Args:
        source: the figure or section.
        batch_size: the batch size of its training.
        train: loss and accuracy on the training images in the best epoch, None if not printed.
        validation: the same on the validation images.
        test: the same on the test images, with the best epoch's weights.
    """

    source: str
    batch_size: int
    train: Metrics | None = None
    validation: Metrics | Accuracy | None = None
    test: Metrics | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as `summary.json` holds them, None where none is printed."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {"source": self.source, **{name: value and self._split(name, value) for name, value in splits.items()}}

    def comparable(self, split: str) -> Comparable | None:
        """Return what the printed accuracy of a split stands for, None if none is printed."""
        numbers = getattr(self, split)
        return numbers and comparable(numbers.accuracy, split, self.batch_size)

    def _split(self, name: str, value: Metrics | Accuracy) -> dict[str, Any]:
        stands_for = comparable(value.accuracy, name, self.batch_size)
        return {"loss": None, "accuracy": None, **value._asdict(), "comparable_accuracy": stands_for}


AS_PUBLISHED = (
    "one run each, of its program as it was (protocol published), on all training images for at most 150 epochs"
)

IMPROVEMENTS: Mapping[str, Reported] = {  # batch size 128, learning rate 0.001, weight decay 0.0003 (section 3)
    "baseline": Reported(
        "figure 3",
        128,
        train=Metrics(loss=0.64, accuracy=0.775),
        validation=Metrics(loss=0.5361, accuracy=0.8014),
        test=Metrics(loss=0.5325, accuracy=0.8138),
    ),
    "batch_norm": Reported(
        "figure 6",
        128,
        train=Metrics(loss=0.5311, accuracy=0.8118),
        validation=Metrics(loss=0.4859, accuracy=0.8142),
        test=Metrics(loss=0.4933, accuracy=0.8263),
    ),
    "dropout": Reported(
        "figure 9",
        128,
        train=Metrics(loss=0.6728, accuracy=0.766),
        validation=Metrics(loss=0.5688, accuracy=0.7935),
        test=Metrics(loss=0.548, accuracy=0.8125),
    ),
    "dense": Reported(
        "figure 12",
        128,
        train=Metrics(loss=0.8047, accuracy=0.7124),
        validation=Metrics(loss=0.6944, accuracy=0.7437),
        test=Metrics(loss=0.6981, accuracy=0.7549),
    ),
}

BASELINE_TEST_ACCURACY = {"figure 3": 0.8138, "section 8": 0.8148}  # the study contradicts itself

HYPERPARAMETERS: Mapping[tuple[float, int], float] = {  # figure 15: validation accuracy by learning rate, batch size
    (0.01, 64): 0.6519,
    (0.01, 128): 0.6871,
    (0.01, 256): 0.7131,
    (0.001, 64): 0.816,
    (0.001, 128): 0.8142,
    (0.001, 256): 0.8207,
    (0.0001, 64): 0.8346,
    (0.0001, 128): 0.8226,
    (0.0001, 256): 0.8173,
}


def setting_name(learning_rate: float, batch_size: int) -> str:
    """Return the name of a cell of figure 15."""
    return f"learning rate {learning_rate:g}, batch size {batch_size}"


TUNED_SETTING = (0.0001, 64)  # learning rate and batch size that the study selects
TUNED = Reported(
    "section 5 and figure 15",
    64,
    validation=Accuracy(HYPERPARAMETERS[TUNED_SETTING]),
    test=Metrics(loss=0.4666, accuracy=0.8339),
)


class Setting(NamedTuple):
    """A number in the original study's text that is a choice, not a result."""

    section: str
    what: str
    printed: str


REPORTED_SETTINGS: Mapping[str, Setting] = {
    "images": Setting("1", "images", "60k"),
    "classes": Setting("1", "classes", "ten"),
    "size": Setting("1", "size of an image", "32x32"),
    "per_class": Setting("1", "images of each class", "6k"),
    "train_per_class": Setting("1", "training images of each class, validation among them", "5k"),
    "test_per_class": Setting("1", "test images of each class", "1k"),
    "held_out": Setting("1", "part of the training images held out for validation", "10%"),
    "split": Setting("1", "images for training, validation, test", "45k, 5k, 10k"),
    "padding": Setting("1.1", "pixels of padding before the crop", "4"),
    "crop": Setting("1.1", "size of the crop", "32x32"),
    "shear": Setting("1.1", "shear", "10 degrees"),
    "scale": Setting("1.1", "scaling", "±0.2"),
    "convolutions": Setting("introduction", "convolutions", "3"),
    "kernel": Setting("2", "kernel, zero padding and stride of a convolution", "3x3, 1, 1"),
    "pooling": Setting("2", "kernel and stride of the pooling", "2x2, 2"),
    "channels": Setting("2", "channels of the convolutions", "(256,128,64)"),
    "other_channels": Setting("2", "channels tried instead", "(64, 128, 256) or (128, 128, 128)"),
    "layers": Setting("2", "fully connected layers tried", "2, 3 and 4"),
    "features": Setting("2", "features after the convolutions", "1024"),
    "widths": Setting("2", "widths of the fully connected layers", "512, 128, 10"),
    "batch_size": Setting("3", "batch size", "128"),
    "learning_rate": Setting("3", "learning rate", "0.001"),
    "weight_decay": Setting("3", "weight decay", "0.0003"),
    "patience": Setting("3", "epochs without a rise before a run ends", "10"),
    "dropout": Setting("4.2", "drop out probability", "0.2"),
    "dense_channels": Setting("4.3", "channels of the dense block", "reduced by factor of two"),
    "dense_widths": Setting("4.3", "widths of its hidden fully connected layers", "(1024, 128)"),
    "learning_rates": Setting("5", "learning rates tried", "0.01, 0.001 and 0.0001"),
    "batch_sizes": Setting("5", "batch sizes tried", "64, 128, 256"),
    "selected": Setting("5", "batch size and learning rate selected", "64, 0.0001"),
    "momentum": Setting("6.2", "momentum", "0.9"),
    "epochs": Setting("6.1", "the most epochs", "150"),
    "latent": Setting("7", "values of the latent space", "128"),
    "map": Setting("7", "dimensions of its maps", "two"),
    "middle": Setting("7", "epoch in the middle of the training", "20"),
}

FIGURES: Mapping[int, tuple[str, str, str]] = {  # its subject; the experiment and the file or table that re-make it
    1: ("classes and examples", "setup", "examples.png"),
    2: ("the baseline's layers", "setup", "Layers of the baseline"),
    3: ("results of the baseline", "improvements", "Results"),
    4: ("accuracy of the baseline", "improvements", "curves_baseline.png"),
    5: ("loss of the baseline", "improvements", "curves_baseline.png"),
    6: ("results with batch norm", "improvements", "Results"),
    7: ("accuracy with batch norm", "improvements", "curves_batch_norm.png"),
    8: ("loss with batch norm", "improvements", "curves_batch_norm.png"),
    9: ("results with dropout", "improvements", "Results"),
    10: ("accuracy with dropout", "improvements", "curves_dropout.png"),
    11: ("loss with dropout", "improvements", "curves_dropout.png"),
    12: ("results with the dense block", "improvements", "Results"),
    13: ("accuracy with the dense block", "improvements", "curves_dense.png"),
    14: ("loss with the dense block", "improvements", "curves_dense.png"),
    15: ("validation accuracy by learning rate and batch size", "hyperparameters", "heatmap.png"),
    16: ("accuracy of the selected model", "hyperparameters", "curves_selected.png"),
    17: ("loss of the selected model", "hyperparameters", "curves_selected.png"),
    18: ("accuracy with SGD", "optimizers", "curves_sgd.png"),
    19: ("loss with SGD", "optimizers", "curves_sgd.png"),
    20: ("accuracy with momentum", "optimizers", "curves_momentum.png"),
    21: ("loss with momentum", "optimizers", "curves_momentum.png"),
    22: ("accuracy with RMSprop", "optimizers", "curves_rmsprop.png"),
    23: ("loss with RMSprop", "optimizers", "curves_rmsprop.png"),
    24: ("latent space before training", "latent", "side_by_side.png"),
    25: ("latent space at the 20th epoch", "latent", "side_by_side.png"),
    26: ("latent space at the end", "latent", "side_by_side.png"),
}
