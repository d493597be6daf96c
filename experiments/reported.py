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
