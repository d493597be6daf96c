"""The verdict on each claim of the original study: which runs may judge it, and what they say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.support.judging import apply, named
from experiments.support.outcomes import Outcome
from experiments.support.printed import CLAIMS
from experiments.support.rules import Claim
from experiments.support.runner import Run
from experiments.support.tables import Row

FULL = 150  # epochs, unless early stopping ends a run
UNJUDGED = "undecided: not run at full length"


@dataclass(frozen=True)
class Verdict:
    """What comes of a claim.

    Args:
        claim: what is claimed.
        outcome: what comes of it, None if its runs are not there at full length.
        finding: what was found, in numbers.
        seeds: the fewest seeds of a row that it rests on.
        runs: how many runs it rests on.
    """

    claim: Claim
    outcome: Outcome | None
    finding: str = ""
    seeds: int = 0
    runs: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        return UNJUDGED if self.outcome is None else self.outcome.value


def full_length(run: Run) -> bool:
    """Whether a run may judge the original study: on its data set, all images, and with as many epochs."""
    config = run.config
    return config.dataset == "cifar10" and config.limit is None and config.epochs >= FULL


def judge(claim: Claim, rows: Mapping[str, Row]) -> Verdict:
    """Return the verdict on a claim by the rows of its experiment, each of which may be missing."""
    found = [rows.get(name) for name in dict.fromkeys(named(claim.rule))]
    needed = [row for row in found if row is not None and row.runs]
    if len(needed) < len(found) or not all(full_length(run) for row in needed for run in row.runs):
        return Verdict(claim, None)
    outcome, text = apply(claim.rule, rows)
    counts = [len(row.runs) for row in needed]
    return Verdict(claim, outcome, text, min(counts), sum(counts))


def judge_all(rows: Mapping[str, Sequence[Row]], claims: Iterable[Claim] = CLAIMS) -> list[Verdict]:
    """Return the verdict on every claim, by the rows of each experiment; one that is missing has none."""
    by_name = {experiment: {row.name: row for row in of} for experiment, of in rows.items()}
    return [judge(claim, by_name.get(claim.experiment, {})) for claim in claims]


def count_outcomes(verdicts: Sequence[Verdict]) -> dict[Outcome, int]:
    """Return how many of the judged claims came out each way."""
    return {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
