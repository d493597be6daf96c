"""What a claim is, and by what rule it is decided: what is compared, which way, by how much. Data.

`experiments.support.judging` applies the rules.
"""

from dataclasses import dataclass
from typing import Literal

from experiments.support.names import listing, shown
from experiments.support.reported import comparable, rescaled
from experiments.support.uncertainty import EPOCHS_MARGIN, MARGINS

Split = Literal["train", "validation", "test"]
Metric = Literal["loss", "accuracy"]
Kind = Literal["accuracy", "loss", "comparison", "course", "latent space"]
POINTS = f"{100 * MARGINS['accuracy']:g} points"


@dataclass(frozen=True)
class Printed:
    """A printed number is met, within the margin, once its divisor is undone."""

    row: str
    split: Split
    metric: Metric
    printed: float
    batch_size: int

    def __str__(self) -> str:
        margin = POINTS if self.metric == "accuracy" else f"{MARGINS['loss']:g}"
        return f"{self.split} {self.metric} within {margin}"

    @property
    def target(self) -> float:
        """Return the number to compare with; the loss, a mean of batch means, cannot be made comparable."""
        if self.metric == "loss":
            return self.printed
        return comparable(self.printed, self.split, self.batch_size).middle


@dataclass(frozen=True)
class Higher:
    """The accuracy of each of some rows is higher than that of each of others, by more than some points."""

    rows: tuple[str, ...]
    than: tuple[str, ...]
    splits: tuple[Split, ...]
    by: float = 0.0

    def __str__(self) -> str:
        rows = listing([shown(name) for name in self.rows])
        others = "each of the others" if len(self.than) > 3 else listing([shown(name) for name in self.than])
        by = f"by more than {100 * self.by:g} point" if self.by else "by more than chance"
        return f"{listing(self.splits)} accuracy of {rows} above {others}, {by}"


@dataclass(frozen=True)
class NoHigher:
    """No row's accuracy is higher than that of another; a difference up to the margin counts as none."""

    rows: tuple[str, ...]
    than: str
    split: Split

    def __str__(self) -> str:
        rows = f"each of the {len(self.rows)}" if len(self.rows) > 2 else listing([shown(name) for name in self.rows])
        return f"{self.split} accuracy of {rows} not above {shown(self.than)}; a gain of {POINTS} is ruled out"


@dataclass(frozen=True)
class Alike:
    """Two rows' accuracies are within the margin of each other."""

    row: str
    other: str
    split: Split

    def __str__(self) -> str:
        return f"{self.split} accuracies of {shown(self.row)} and {shown(self.other)} within {POINTS} of each other"


@dataclass(frozen=True)
class Sooner:
    """Each of some rows reaches a validation accuracy in fewer epochs than another."""

    rows: tuple[str, ...]
    than: str
    accuracy: float

    def __str__(self) -> str:
        rows = listing([shown(name) for name in self.rows])
        return f"{rows} at {self.accuracy:g} validation accuracy in fewer epochs than {shown(self.than)}"


@dataclass(frozen=True)
class Fewer:
    """A row needs fewer epochs than another to its best epoch."""

    row: str
    than: str

    def __str__(self) -> str:
        return f"{shown(self.row)} at its best epoch after fewer epochs than {shown(self.than)}"


@dataclass(frozen=True)
class AtEpoch:
    """The validation accuracy at an epoch, counted from 1, is within the margin of one read off a plot."""

    row: str
    epoch: int
    accuracy: float
    batch_size: int

    def __str__(self) -> str:
        return f"validation accuracy at epoch {self.epoch} within {POINTS} of {self.target:.3f}"

    @property
    def target(self) -> float:
        """Return the accuracy over all images."""
        return rescaled(self.accuracy, "validation", self.batch_size)


@dataclass(frozen=True)
class Stops:
    """Early stopping ends a row's run near an epoch, counted from 1."""

    row: str
    epoch: int

    def __str__(self) -> str:
        return f"early stopping within {EPOCHS_MARGIN:.0%} of epoch {self.epoch}"


@dataclass(frozen=True)
class SameCourse:
    """Two rows' validation accuracies stay close to each other over the epochs that both have."""

    row: str
    other: str

    def __str__(self) -> str:
        return f"validation accuracies of the same epoch within {POINTS} of each other on average"


@dataclass(frozen=True)
class LossBelow:
    """In some of the rows the validation loss is below the training loss in most epochs."""

    rows: tuple[str, ...]

    def __str__(self) -> str:
        return "validation loss below training loss in most epochs of at least one run"


@dataclass(frozen=True)
class Rising:
    """Accuracies of the latents rise from before training to the middle and from there to the best epoch."""

    images: tuple[tuple[str, int], ...]  # that each score is an accuracy of

    def __str__(self) -> str:
        return "both accuracies of the latents rise at each step, by more than the sampling error of their images"


@dataclass(frozen=True)
class Separating:
    """The silhouette of the classes rises likewise."""

    least: float

    def __str__(self) -> str:
        return f"the silhouette of the classes rises at each step by more than {self.least:g}"


@dataclass(frozen=True)
class Together:
    """Separability and validation accuracy rank a run's stages alike."""

    score: str
    correlation: float

    def __str__(self) -> str:
        return (
            f"rank correlation of at least {self.correlation:g} between nearest-neighbour accuracy and validation "
            "accuracy over the kept epochs"
        )


_OfRuns = Printed | Higher | NoHigher | Alike | Sooner | Fewer | AtEpoch | Stops | SameCourse | LossBelow
Rule = _OfRuns | Rising | Separating | Together


@dataclass(frozen=True)
class Claim:
    """A result that the original study states.

    Args:
        id: a short name of its own.
        where: the sections or figures that state it.
        kind: what it is about.
        text: what it says.
        experiment: whose runs it is judged by; the rule names their rows.
        rule: what has to be found for it to hold.
    """

    id: str
    where: str
    kind: Kind
    text: str
    experiment: str
    rule: Rule
