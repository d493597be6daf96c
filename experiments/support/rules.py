"""The rules that decide claims, as data: what is compared, in which direction, by how much.

`experiments.support.evaluate_rules` evaluates them.
"""

from dataclasses import dataclass
from typing import Literal

from experiments.support.display_names import display_name, join_names
from experiments.support.reported import comparable, rescale
from experiments.support.uncertainty import EPOCHS_MARGIN, MARGINS

Split = Literal["train", "validation", "test"]
Metric = Literal["loss", "accuracy"]
Kind = Literal["accuracy", "loss", "comparison", "course", "latent space"]
POINTS = f"{100 * MARGINS['accuracy']:g} points"


@dataclass(frozen=True)
class Printed:
    """A printed number is met within the margin, after it is made comparable."""

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
        """Return the number to compare with. A loss, which is a mean of batch means, cannot be made comparable."""
        if self.metric == "loss":
            return self.printed
        return comparable(self.printed, self.split, self.batch_size).middle


@dataclass(frozen=True)
class Higher:
    """The accuracy of each of `rows` is higher than that of each of `than`, by more than `by`."""

    rows: tuple[str, ...]
    than: tuple[str, ...]
    splits: tuple[Split, ...]
    by: float = 0.0

    def __str__(self) -> str:
        rows = join_names([display_name(name) for name in self.rows])
        others = "each of the others" if len(self.than) > 3 else join_names([display_name(name) for name in self.than])
        by = f"by more than {100 * self.by:g} point" if self.by else "by more than chance"
        return f"{join_names(self.splits)} accuracy of {rows} above {others}, {by}"


@dataclass(frozen=True)
class NoHigher:
    """The accuracy of none of `rows` is higher than that of `than`; a gain below the margin counts as none."""

    rows: tuple[str, ...]
    than: str
    split: Split

    def __str__(self) -> str:
        rows = (
            f"each of the {len(self.rows)}"
            if len(self.rows) > 2
            else join_names([display_name(name) for name in self.rows])
        )
        return f"{self.split} accuracy of {rows} not above {display_name(self.than)}; a gain of {POINTS} is ruled out"


@dataclass(frozen=True)
class Alike:
    """The accuracies of two rows are within the margin of each other."""

    row: str
    other: str
    split: Split

    def __str__(self) -> str:
        rows = f"{display_name(self.row)} and {display_name(self.other)}"
        return f"{self.split} accuracies of {rows} within {POINTS} of each other"


@dataclass(frozen=True)
class Sooner:
    """Each of `rows` reaches a validation accuracy in fewer epochs than `than`."""

    rows: tuple[str, ...]
    than: str
    accuracy: float

    def __str__(self) -> str:
        rows = join_names([display_name(name) for name in self.rows])
        return f"{rows} at {self.accuracy:g} validation accuracy in fewer epochs than {display_name(self.than)}"


@dataclass(frozen=True)
class Fewer:
    """A row reaches its best epoch after fewer epochs than another."""

    row: str
    than: str

    def __str__(self) -> str:
        return f"{display_name(self.row)} at its best epoch after fewer epochs than {display_name(self.than)}"


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
        return rescale(self.accuracy, "validation", self.batch_size)


@dataclass(frozen=True)
class Stops:
    """Early stopping ends the run of a row near an epoch, counted from 1."""

    row: str
    epoch: int

    def __str__(self) -> str:
        return f"early stopping within {EPOCHS_MARGIN:.0%} of epoch {self.epoch}"


@dataclass(frozen=True)
class SameCourse:
    """The validation accuracies of two rows stay close to each other over the epochs that both have."""

    row: str
    other: str

    def __str__(self) -> str:
        return f"validation accuracies of the same epoch within {POINTS} of each other on average"


@dataclass(frozen=True)
class LossBelow:
    """In at least one of the rows the validation loss is below the training loss in most epochs."""

    rows: tuple[str, ...]

    def __str__(self) -> str:
        return "validation loss below training loss in most epochs of at least one run"


@dataclass(frozen=True)
class Rising:
    """Accuracies of the latents rise from before training to the middle, and from there to the best epoch."""

    images: tuple[tuple[str, int], ...]  # the number of images behind each score

    def __str__(self) -> str:
        return "both accuracies of the latents rise at each step, by more than the sampling error of their images"


@dataclass(frozen=True)
class Separating:
    """The silhouette of the classes rises at both steps, each time by more than `least`."""

    least: float

    def __str__(self) -> str:
        return f"the silhouette of the classes rises at each step by more than {self.least:g}"


@dataclass(frozen=True)
class Together:
    """A separability score and validation accuracy rank the snapshots of a run alike."""

    score: str
    correlation: float

    def __str__(self) -> str:
        return (
            f"rank correlation of at least {self.correlation:g} between nearest-neighbour accuracy and validation "
            "accuracy over the kept epochs"
        )


_RunRule = Printed | Higher | NoHigher | Alike | Sooner | Fewer | AtEpoch | Stops | SameCourse | LossBelow
Rule = _RunRule | Rising | Separating | Together


@dataclass(frozen=True)
class Claim:
    """A result that the original study states.

    Args:
        id: a short unique name.
        where: the sections or figures that state it.
        kind: its subject.
        text: the statement.
        experiment: the experiment with the runs that decide it.
        rule: the rule by which it holds; it names rows of the experiment.
    """

    id: str
    where: str
    kind: Kind
    text: str
    experiment: str
    rule: Rule
