"""The verdict on each claim of the original study: which runs may decide it, and how they do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.support.evaluate_rules import evaluate, required_rows
from experiments.support.findings import Outcome
from experiments.support.options import Options
from experiments.support.printed_claims import CLAIMS
from experiments.support.rules import Claim
from experiments.support.run import Run
from experiments.support.tables import Row

FULL_LENGTH = 150  # epochs, unless early stopping ends a run
UNJUDGED = "undecided: not run at full length"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim.

    Args:
        claim: the claim.
        outcome: whether it holds, None if there are no runs of it at full length.
        finding: what was found, in numbers.
        seeds: the fewest seeds of a row that it rests on.
        runs: the number of runs that it rests on.
    """

    claim: Claim
    outcome: Outcome | None
    finding: str = ""
    seeds: int = 0
    runs: int = 0

    def __str__(self) -> str:
        """Return the outcome for a reader."""
        return UNJUDGED if self.outcome is None else self.outcome.value


def full_length(run: Run) -> bool:
    """Whether a run may decide a claim: on the study's data set, with all images, for as many epochs."""
    config = run.config
    return config.dataset == "cifar10" and config.limit is None and config.epochs >= FULL_LENGTH


def judge(claim: Claim, rows: Mapping[str, Row]) -> Verdict:
    """Return the verdict on a claim by the rows of its experiment; rows may be missing."""
    names = dict.fromkeys(required_rows(claim.rule))
    required = [rows[name] for name in names if name in rows and rows[name].runs]
    if len(required) < len(names) or not all(full_length(run) for row in required for run in row.runs):
        return Verdict(claim, None)
    outcome, text = evaluate(claim.rule, rows)
    counts = [len(row.runs) for row in required]
    return Verdict(claim, outcome, text, min(counts), sum(counts))


def judge_experiment(options: Options, experiment: str, rows: Sequence[Row]) -> list[Verdict]:
    """Return the verdicts on the claims that an experiment decides, none on another data set than the study's."""
    if options.dataset != "cifar10":
        return []
    by_name = {row.name: row for row in rows}
    return [judge(claim, by_name) for claim in CLAIMS if claim.experiment == experiment]


def complete(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return a verdict on every claim in the order of the study; claims without one are not judged."""
    by_id = {verdict.claim.id: verdict for verdict in verdicts}
    return [by_id.get(claim.id, Verdict(claim, None)) for claim in CLAIMS]


def count_outcomes(verdicts: Sequence[Verdict]) -> dict[Outcome, int]:
    """Return how many of the judged claims had each outcome."""
    return {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
