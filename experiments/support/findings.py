"""Whether a claim holds, and how several comparisons are combined into one finding."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from experiments.support.uncertainty import Difference


class Outcome(StrEnum):
    """Whether a claim holds."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"


class Finding(NamedTuple):
    """An outcome, and the numbers behind it for a reader."""

    outcome: Outcome
    text: str


def combine_outcomes(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome of a claim that needs several comparisons to hold."""
    worst_first = (Outcome.FAILS, Outcome.UNDECIDED, Outcome.HOLDS)
    return next(outcome for outcome in worst_first if outcome in outcomes)


def decide_within(difference: Difference, margin: float) -> Outcome:
    """Return whether a difference is small; it counts as large if it exceeds both the margin and chance."""
    if abs(difference.value) <= margin:
        return Outcome.HOLDS
    return Outcome.FAILS if abs(difference.value) > max(margin, difference.half_width) else Outcome.UNDECIDED


def decide_above(difference: Difference, bound: float = 0.0) -> Outcome:
    """Return whether a difference exceeds a bound by more than chance."""
    if difference.exceeds(bound):
        return Outcome.HOLDS
    return Outcome.FAILS if difference.stays_below(bound) else Outcome.UNDECIDED


def decide_not_above(difference: Difference, margin: float) -> Outcome:
    """Return whether there is no gain: none is shown, and one as large as the margin is ruled out."""
    if difference.exceeds():
        return Outcome.FAILS
    return Outcome.HOLDS if difference.stays_below(margin) else Outcome.UNDECIDED


def format_points(difference: float) -> str:
    """Return a difference of accuracies in percentage points, with its direction."""
    if round(abs(difference), 4) == 0:
        return "the same as"
    return f"{100 * abs(difference):.2f} points {'above' if difference > 0 else 'below'}"
