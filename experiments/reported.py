"""The report's own numbers, exactly as printed, and what it says of its results, with the place each comes from.

They are of CIFAR-10, one run each. The report says nowhere how much another seed would change them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnn3.metrics import Metrics


class Accuracy(NamedTuple):
    """An accuracy that is printed without its loss."""

    accuracy: float


@dataclass(frozen=True)
class Reported:
    """What the report prints of a run.

    Args:
        source: the figure or section.
        train: cross entropy and accuracy of the training images in the best epoch; None where not printed.
        validation: those of the validation images in the best epoch.
        test: those of the test images with the best epoch's weights.
    """

    source: str
    train: Metrics | None = None
    validation: Metrics | Accuracy | None = None
    test: Metrics | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as `summary.json` holds them, None where the report prints none."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        unknown = {"loss": None, "accuracy": None}
        return {"source": self.source, **{name: value and unknown | value._asdict() for name, value in splits.items()}}


@dataclass(frozen=True)
class Statement:
    """What the report says of its results in a sentence, in other words; numbers are its own."""

    section: str
    text: str


AS_PUBLISHED = (  # what must be said beside any of the numbers
    "one run each, of its program as it was (protocol published), on all training images for at most 150 epochs"
)

IMPROVEMENTS: Mapping[str, Reported] = {  # batch size 128, learning rate 0.001, weight decay 0.0003 (section 3)
    "baseline": Reported(
        "figure 3",
        train=Metrics(loss=0.64, accuracy=0.775),
        validation=Metrics(loss=0.5361, accuracy=0.8014),
        test=Metrics(loss=0.5325, accuracy=0.8138),
    ),
    "batch_norm": Reported(
        "figure 6",
        train=Metrics(loss=0.5311, accuracy=0.8118),
        validation=Metrics(loss=0.4859, accuracy=0.8142),
        test=Metrics(loss=0.4933, accuracy=0.8263),
    ),
    "dropout": Reported(
        "figure 9",
        train=Metrics(loss=0.6728, accuracy=0.766),
        validation=Metrics(loss=0.5688, accuracy=0.7935),
        test=Metrics(loss=0.548, accuracy=0.8125),
    ),
    "dense": Reported(
        "figure 12",
        train=Metrics(loss=0.8047, accuracy=0.7124),
        validation=Metrics(loss=0.6944, accuracy=0.7437),
        test=Metrics(loss=0.6981, accuracy=0.7549),
    ),
}

BASELINE_TEST_ACCURACY = {"figure 3": 0.8138, "section 8": 0.8148}  # the report contradicts itself

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

TUNED_SETTING = (0.0001, 64)  # learning rate and batch size that the report selects
TUNED = Reported(
    "section 5 and figure 15",
    validation=Accuracy(HYPERPARAMETERS[TUNED_SETTING]),
    test=Metrics(loss=0.4666, accuracy=0.8339),
)

OPTIMIZERS: Mapping[str, tuple[Statement, ...]] = {  # section 6 prints plots and says this, no table
    "sgd": (
        Statement("6.1", "SGD learns slowly: about 0.63 accuracy at epoch 150, which calls for a faster algorithm."),
        Statement("8", "SGD is so slow that it shows the need of its extensions."),
    ),
    "momentum": (
        Statement(
            "6.2",
            "Momentum makes SGD faster, yet it comes to 0.8 accuracy only around epoch 120, where early "
            "stopping ends it.",
        ),
        Statement(
            "8",
            "Momentum speeds SGD up and does fairly in 117 epochs, when early stopping ends it, but stays "
            "behind the other extensions.",
        ),
    ),
    "rmsprop": (
        Statement("6.3", "RMSprop trains well, to accuracies as high as Adam's, but ends no better than Adam."),
        Statement("8", "RMSprop converges like Adam, to a slightly lower accuracy."),
    ),
    "adam": (
        Statement("6.4", "Adam does best of all the algorithms."),
        Statement("8", "Under these conditions Adam optimizes the model best."),
    ),
}

CONCLUSIONS: Mapping[str, Statement] = {  # section 8, on the first part of the study
    "baseline": Statement("8", "The baseline reaches 0.8148 test accuracy."),
    "batch_norm": Statement("8", "Batch normalization gains more than 1%."),
    "dropout": Statement(
        "8", "Dropout gives no better results, and its training and validation curves inspire no confidence."
    ),
    "dense": Statement("8", "The dense block is harder to train and gives worse results."),
    "combinations": Statement(
        "8", "Combined improvements bring no further gain, so batch normalization alone is chosen."
    ),
    "tuned": Statement("8", "The chosen model, its hyperparameters tuned, reaches 0.8339 test accuracy."),
}

ARCHITECTURE: Mapping[str, tuple[Statement, ...]] = {  # no numbers; by what is chosen
    "channels": (
        Statement(
            "2",
            "(64, 128, 256) and (128, 128, 128) are possible too, but with all else equal the chosen channels "
            "did better.",
        ),
    ),
    "layers": (
        Statement(
            "2", "Of 2, 3 and 4 fully connected layers, with all else equal, 3 did better, and 4 changed little."
        ),
    ),
    "pooling": (Statement("2", "Maximum and average pooling are said to differ little (its reference 10)."),),
    "improvements": (
        Statement("4", "In experiments no combination of improvements did better."),
        CONCLUSIONS["combinations"],
    ),
}

LATENT = Statement(  # it prints plots and says this, no numbers
    "7",
    "As training goes on the model learns better representations, and better representations perform better.",
)


class Setting(NamedTuple):
    """A number of the report's text that is no result but a choice."""

    section: str
    what: str
    printed: str


SETTINGS: Mapping[str, Setting] = {
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

FIGURES: Mapping[int, tuple[str, str, str]] = {  # what it shows; the experiment and its file, or table, that is ours
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
