"""The verdicts for a reader: in words, counted, and one by one."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from scipy.stats import t as student

from experiments.support.claims import STATEMENTS
from experiments.support.names import number_of, shown
from experiments.support.options import Options
from experiments.support.outcomes import Outcome
from experiments.support.reported import comparable
from experiments.support.rules import Kind, Printed
from experiments.support.tables import MISSING, Row, Table, without_empty
from experiments.support.uncertainty import LEVEL
from experiments.support.verdicts import Verdict, count_outcomes, judge_all

KINDS: Mapping[Kind, str] = {
    "accuracy": "printed accuracies",
    "loss": "printed losses",
    "comparison": "comparisons of accuracy",
    "course": "course of training",
    "latent space": "latent space",
}
CLAIMED = "What the original study says"  # of an experiment; the report's first section has all
REPRODUCED = ((0.95, "reproduced"), (0.75, "largely reproduced"), (0.5, "reproduced in part"), (0.0, "not reproduced"))
OUTCOMES = {Outcome.HOLDS: "hold", Outcome.FAILS: "do not hold", Outcome.UNDECIDED: "undecided"}


def headline(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the answer in words: how many claims hold, whether the study is reproduced, and what is not judged."""
    judged = [verdict for verdict in verdicts if verdict.outcome is not None]
    rest = len(verdicts) - len(judged)
    if not judged:
        return [
            f"None of the original study's {len(verdicts)} claims can be judged here: that takes runs at full length, "
            "on all training images and for up to 150 epochs."
        ]
    counts = count_outcomes(judged)
    hold, fail, open_ = (counts[of] for of in (Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED))
    holds, does = "holds" if hold == 1 else "hold", "does" if fail == 1 else "do"
    claims = number_of(len(judged), "claim")
    sentence = f"Of {claims}, {hold} {holds}, {fail} {does} not, and {_are(open_)} undecided."
    whose = "its" if rest == 1 else "their"
    left_out = (
        f" Another {_are(rest)} not judged, since {whose} runs have not been made at full length." if rest else ""
    )
    return [f"{sentence} {_answer(hold, fail)}{left_out}"]


def _are(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


def _answer(hold: int, fail: int) -> str:
    if not hold + fail:
        return "Nothing could be decided yet."
    share = hold / (hold + fail)
    word = next(word for least, word in REPRODUCED if share >= least)
    return f"As far as it can be decided, the original study is {word}: {share:.0%} of the decided claims hold."


def failing(verdicts: Sequence[Verdict]) -> list[str]:
    """Return in a sentence which claims do not hold, or nothing."""
    failed = [verdict.claim for verdict in verdicts if verdict.outcome is Outcome.FAILS]
    words = [claim.text.rstrip(".") for claim in failed if not isinstance(claim.rule, Printed)]
    numbers = [claim.rule for claim in failed if isinstance(claim.rule, Printed)]
    rows = {rule.row: [f"{of.split} {of.metric}" for of in numbers if of.row == rule.row] for rule in numbers}
    missed = [f"{shown(name)} ({', '.join(dict.fromkeys(of))})" for name, of in rows.items()]
    said = [f"Statements that do not hold: {'; '.join(words)}."] if words else []
    return [*said, *([f"Numbers that are missed: {'; '.join(missed)}."] if missed else [])]


def counts_table(verdicts: Sequence[Verdict]) -> Table:
    """Return how many claims of each kind came out each way."""
    lines = []
    for kind, name in KINDS.items():
        of = [verdict for verdict in verdicts if verdict.claim.kind == kind]
        lines.append(_count_line(name, of))
    lines.append(_count_line("all", verdicts))
    return Table(["claims on", *OUTCOMES.values(), "not judged", "all"], lines, 1)


def _count_line(name: str, verdicts: Sequence[Verdict]) -> list[str]:
    counts = count_outcomes(verdicts)
    unjudged = sum(verdict.outcome is None for verdict in verdicts)
    return [name, *(str(counts[outcome]) for outcome in OUTCOMES), str(unjudged), str(len(verdicts))]


def statements_table(verdicts: Sequence[Verdict]) -> Table:
    """Return the verdict on each statement, with what was found and the rule; those judged come first."""
    of_words = [verdict for verdict in verdicts if not isinstance(verdict.claim.rule, Printed)]
    ordered = sorted(of_words, key=lambda verdict: verdict.outcome is None)
    lines = [[v.claim.text, v.claim.where, str(v), v.finding or MISSING, _seeds(v), str(v.claim.rule)] for v in ordered]
    header = ["the original study says", "where", "verdict", "what was found", "runs", "it holds if"]
    return without_empty(Table(header, lines, 6, cards=True))


def _seeds(verdict: Verdict) -> str:
    if verdict.outcome is None:
        return MISSING
    return f"{verdict.runs} ({verdict.seeds} seeds)" if verdict.seeds > 1 else str(verdict.runs)


def numbers_table(verdicts: Sequence[Verdict], rows: Mapping[str, Sequence[Row]]) -> Table:
    """Return each printed number: as printed, made comparable, ours, the difference and the verdict."""
    lines = []
    for verdict in verdicts:
        rule = verdict.claim.rule
        if isinstance(rule, Printed):
            lines.append(_number_line(verdict, rule, rows.get(verdict.claim.experiment, ())))
    header = ["result", "original study", "made comparable", "ours", "difference", f"{LEVEL:.0%} interval", "seeds"]
    return without_empty(Table([*header, "verdict", "where"], lines, 1, cards=True))


def _number_line(verdict: Verdict, rule: Printed, rows: Sequence[Row]) -> list[str]:
    accuracy = rule.metric == "accuracy"
    stands_for = str(comparable(rule.printed, rule.split, rule.batch_size)) if accuracy else MISSING
    judged = verdict.outcome is not None
    values = sample(rows, rule) if judged else []
    padded = judged and next(row for row in rows if row.name == rule.row).runs[0].config.protocol.pad_accuracy
    ours = [MISSING] * 4
    if values:
        between = interval(values)
        apart = fmean(values) - (rule.printed if padded else rule.target)
        difference = f"{100 * apart:+.2f}" if accuracy else f"{apart:+.4f}"
        ends = f"{between[0]:.4f} to {between[1]:.4f}" if between else MISSING
        ours = [f"{fmean(values):.4f}", difference, ends, str(len(values)) if len(values) > 1 else MISSING]
    return [verdict.claim.text, f"{rule.printed:.4f}", stands_for, *ours, str(verdict), verdict.claim.where]


def verdict_table(options: Options, experiment: str, rows: Sequence[Row]) -> dict[str, Table]:
    """Return the verdicts on an experiment's statements under their heading, none on another data set."""
    if options.dataset != "cifar10":
        return {}
    claims = [claim for claim in STATEMENTS if claim.experiment == experiment]
    return {CLAIMED: statements_table(judge_all({experiment: rows}, claims))}


def sample(rows: Sequence[Row], rule: Printed) -> list[float]:
    """Return what was measured of a printed number, one value a seed that has one."""
    runs = [run for row in rows if row.name == rule.row for run in row.runs]
    return [run.summary[rule.split][rule.metric] for run in runs if run.summary[rule.split]]


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the confidence interval of the mean by Student's t, None of fewer than two values."""
    if len(values) < 2:
        return None
    half = student.ppf((1 + LEVEL) / 2, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return fmean(values) - half, fmean(values) + half
