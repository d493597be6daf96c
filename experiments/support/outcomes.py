"""What comes of a claim, and how several comparisons make one verdict."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from experiments.support.uncertainty import Difference


class Outcome(StrEnum):
    """What comes of a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"


class Finding(NamedTuple):
    """An outcome with what was found, in numbers for a reader."""

    outcome: Outcome
    text: str


def all_of(findings: Sequence[Finding]) -> Finding:
    """Return the finding of a claim that needs each of several to hold."""
    outcomes = {finding.outcome for finding in findings}
    first = (Outcome.FAILS, Outcome.UNDECIDED, Outcome.HOLDS)
    return Finding(next(of for of in first if of in outcomes), "; ".join(finding.text for finding in findings))


def within(difference: Difference, margin: float) -> Outcome:
    """Return whether a difference is small: beyond the margin it must also be more than chance to be called large."""
    if abs(difference.value) <= margin:
        return Outcome.HOLDS
    return Outcome.FAILS if abs(difference.value) > max(margin, difference.reach) else Outcome.UNDECIDED


def above(difference: Difference, by: float = 0.0) -> Outcome:
    """Return whether a difference exceeds a bound by more than chance."""
    if difference.exceeds(by):
        return Outcome.HOLDS
    return Outcome.FAILS if difference.stays_below(by) else Outcome.UNDECIDED


def not_above(difference: Difference, margin: float) -> Outcome:
    """Return whether a gain as large as the margin is ruled out, and a smaller one not shown."""
    if difference.exceeds():
        return Outcome.FAILS
    return Outcome.HOLDS if difference.stays_below(margin) else Outcome.UNDECIDED


def points(difference: float) -> str:
    """Return a difference of accuracies in words, with its direction."""
    if round(abs(difference), 4) == 0:
        return "the same as"
    return f"{100 * abs(difference):.2f} points {'above' if difference > 0 else 'below'}"
