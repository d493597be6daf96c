"""The report's own numbers and words, exactly as printed, with the place each comes from.

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
    """What the report says of a run in words, spelling included."""

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

OPTIMIZERS: Mapping[str, tuple[Statement, ...]] = {  # section 6 prints plots and these words, no table
    "sgd": (
        Statement(
            "6.1",
            "As the plots show SGD converges very slowly it stands around 0.63 accuracy even at the 150th epoch and "
            "this training needs to be fastened.",
        ),
        Statement("8", "SGD showed very slow performance and proved the necessity of the use of extensions."),
    ),
    "momentum": (
        Statement(
            "6.2",
            "As the plots show when SGD make use of momentum it converges faster however it is still gets to 0.8 "
            "accuracy around 120th epoch and early stop stopped it there .",
        ),
        Statement(
            "8",
            "SGD with momentum was not as good as the ones mentioned however it definitely make SGD faster and helps "
            "to reach not bad results in 117 epochs but then stopped by early stopping condition.",
        ),
    ),
    "rmsprop": (
        Statement(
            "6.3",
            "As the plots show RMSprop is doing a good job in the training. It converges to high accuracies just like "
            "adam but it does not obtain better results than it at the end.",
        ),
        Statement("8", "Rmsprop obtained similar convergence pattern but it obtained a little bit less accuracy."),
    ),
    "adam": (
        Statement("6.4", "It obtained the best performance among the optimizers."),
        Statement("8", "In this part it is observed that adam optimizes this model best with the given conditions."),
    ),
}

CONCLUSIONS: Mapping[str, Statement] = {  # section 8, on the first part of the study
    "baseline": Statement(
        "8",
        "Later a baseline model is trained with the initial architecture and 0.8148 test accuracy obtained for the "
        "base model.",
    ),
    "batch_norm": Statement(
        "8",
        "Firstly batch normalization is introduced and more than %1 increase is observed with this improvement.",
    ),
    "dropout": Statement(
        "8",
        "The drop out couldn't achieve better results and its validation and train metrics also was not giving any "
        "trust to this extension.",
    ),
    "dense": Statement("8", "Having a dense block made training harder and worsen the results."),
    "combinations": Statement(
        "8",
        "Also no performance increase observed with the combinations of the improvements As a result model with "
        "batch normalization selected.",
    ),
    "tuned": Statement(
        "8",
        "After selecting the model the training hyperparameters are tuned and the tuned model obtained 0.8339 "
        "accuracy in the test set.",
    ),
}

ARCHITECTURE: Mapping[str, tuple[Statement, ...]] = {  # no numbers; by what is chosen
    "channels": (
        Statement(
            "2",
            "It is possible to choose (64, 128, 256) or (128, 128, 128) in here by considering the limitation but the "
            "choice empirically performed better when the network trained with keeping all other parameters constant.",
        ),
    ),
    "layers": (
        Statement(
            "2",
            "Therefore, the network is trained with 2,3 and 4 full connected layers by keeping other parameters same "
            "and it is observed that 3 performs better and 4 does not make much difference.",
        ),
    ),
    "pooling": (
        Statement(
            "2", "However, there are discussions that say there is not much difference between using these two[10]."
        ),
    ),
    "improvements": (
        Statement("4", "For the combination of improvements no better results are obtained empirically."),
        CONCLUSIONS["combinations"],
    ),
}

LATENT = Statement(  # it prints plots and these words, no numbers
    "7",
    "The plot of the latent spaces show that the model learns better representations as it is trained and better "
    "representations leads to better performance.",
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
    4: ("accuracy of the baseline", "improvements", "accuracy_baseline.png"),
    5: ("loss of the baseline", "improvements", "loss_baseline.png"),
    6: ("results with batch norm", "improvements", "Results"),
    7: ("accuracy with batch norm", "improvements", "accuracy_batch_norm.png"),
    8: ("loss with batch norm", "improvements", "loss_batch_norm.png"),
    9: ("results with dropout", "improvements", "Results"),
    10: ("accuracy with dropout", "improvements", "accuracy_dropout.png"),
    11: ("loss with dropout", "improvements", "loss_dropout.png"),
    12: ("results with the dense block", "improvements", "Results"),
    13: ("accuracy with the dense block", "improvements", "accuracy_dense.png"),
    14: ("loss with the dense block", "improvements", "loss_dense.png"),
    15: ("validation accuracy by learning rate and batch size", "hyperparameters", "heatmap.png"),
    16: ("accuracy of the selected model", "hyperparameters", "accuracy_selected.png"),
    17: ("loss of the selected model", "hyperparameters", "loss_selected.png"),
    18: ("accuracy with SGD", "optimizers", "accuracy_sgd.png"),
    19: ("loss with SGD", "optimizers", "loss_sgd.png"),
    20: ("accuracy with momentum", "optimizers", "accuracy_momentum.png"),
    21: ("loss with momentum", "optimizers", "loss_momentum.png"),
    22: ("accuracy with RMSprop", "optimizers", "accuracy_rmsprop.png"),
    23: ("loss with RMSprop", "optimizers", "loss_rmsprop.png"),
    24: ("latent space before training", "latent", "initial.png"),
    25: ("latent space at the 20th epoch", "latent", "epoch20.png"),
    26: ("latent space at the end", "latent", "best.png"),
}
