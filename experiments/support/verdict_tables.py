"""The verdicts in words: as sentences, counted, and one by one."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from experiments.support.display_names import display_name, pluralize
from experiments.support.findings import Outcome
from experiments.support.reported import comparable
from experiments.support.rules import Kind, Printed
from experiments.support.run import metric_values
from experiments.support.tables import MISSING, Row, Table, drop_empty_columns
from experiments.support.uncertainty import LEVEL, mean_half_width
from experiments.support.verdicts import Verdict, count_outcomes

KINDS: Mapping[Kind, str] = {
    "accuracy": "printed accuracies",
    "loss": "printed losses",
    "comparison": "comparisons of accuracy",
    "course": "course of training",
    "latent space": "latent space",
}
REPRODUCED = ((0.95, "reproduced"), (0.75, "largely reproduced"), (0.5, "reproduced in part"), (0.0, "not reproduced"))
OUTCOMES = {Outcome.HOLDS: "hold", Outcome.FAILS: "do not hold", Outcome.UNDECIDED: "undecided"}


def headline(verdicts: Sequence[Verdict]) -> list[str]:
    """Return in a sentence how many claims hold, whether the study is reproduced, and how many are not judged."""
    judged = [verdict for verdict in verdicts if verdict.outcome is not None]
    unjudged = len(verdicts) - len(judged)
    if not judged:
        return [
            f"None of the original study's {len(verdicts)} claims can be judged here: that takes runs at full length, "
            "on all training images and for up to 150 epochs."
        ]
    counts = count_outcomes(judged)
    hold, fail, undecided = counts[Outcome.HOLDS], counts[Outcome.FAILS], counts[Outcome.UNDECIDED]
    holds, does = "holds" if hold == 1 else "hold", "does" if fail == 1 else "do"
    claims = pluralize(len(judged), "claim")
    sentence = f"Of {claims}, {hold} {holds}, {fail} {does} not, and {_are(undecided)} undecided."
    possessive = "its" if unjudged == 1 else "their"
    remark = f" Another {_are(unjudged)} not judged, since {possessive} runs have not been made at full length."
    return [f"{sentence} {_answer(hold, fail)}{remark if unjudged else ''}"]


def _are(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


def _answer(hold: int, fail: int) -> str:
    if not hold + fail:
        return "Nothing could be decided yet."
    share = hold / (hold + fail)
    degree = next(text for threshold, text in REPRODUCED if share >= threshold)
    return f"As far as it can be decided, the original study is {degree}: {share:.0%} of the decided claims hold."


def failing(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the claims that do not hold: the statements in a sentence, the numbers in another."""
    failed = [verdict.claim for verdict in verdicts if verdict.outcome is Outcome.FAILS]
    statements = [claim.text.rstrip(".") for claim in failed if not isinstance(claim.rule, Printed)]
    metrics: dict[str, dict[str, None]] = {}  # by row, in order and each once
    for claim in failed:
        if isinstance(claim.rule, Printed):
            metrics.setdefault(claim.rule.row, {})[f"{claim.rule.split} {claim.rule.metric}"] = None
    numbers = [f"{display_name(row)} ({', '.join(names)})" for row, names in metrics.items()]
    return [
        *([f"Statements that do not hold: {'; '.join(statements)}."] if statements else []),
        *([f"Numbers that are missed: {'; '.join(numbers)}."] if numbers else []),
    ]


def counts_table(verdicts: Sequence[Verdict]) -> Table:
    """Return how many claims of each kind have each outcome."""
    lines = [
        _count_line(name, [verdict for verdict in verdicts if verdict.claim.kind == kind])
        for kind, name in KINDS.items()
    ]
    lines.append(_count_line("all", verdicts))
    return Table(["claims on", *OUTCOMES.values(), "not judged", "all"], lines, 1)


def _count_line(name: str, verdicts: Sequence[Verdict]) -> list[str]:
    counts = count_outcomes(verdicts)
    unjudged = sum(verdict.outcome is None for verdict in verdicts)
    return [name, *(str(counts[outcome]) for outcome in OUTCOMES), str(unjudged), str(len(verdicts))]


def statements_table(verdicts: Sequence[Verdict]) -> Table:
    """Return the verdict on each statement, with the finding and the rule; judged statements come first."""
    stated = [verdict for verdict in verdicts if not isinstance(verdict.claim.rule, Printed)]
    ordered = sorted(stated, key=lambda verdict: verdict.outcome is None)
    lines = [[v.claim.text, v.claim.where, str(v), v.finding or MISSING, _seeds(v), str(v.claim.rule)] for v in ordered]
    header = ["the original study says", "where", "verdict", "what was found", "runs", "it holds if"]
    return drop_empty_columns(Table(header, lines, 6, cards=True))


def _seeds(verdict: Verdict) -> str:
    if verdict.outcome is None:
        return MISSING
    return f"{verdict.runs} ({verdict.seeds} seeds)" if verdict.seeds > 1 else str(verdict.runs)


def numbers_table(verdicts: Sequence[Verdict], rows: Mapping[str, Sequence[Row]]) -> Table:
    """Return each printed number as printed and made comparable, ours, the difference and the verdict."""
    lines = []
    for verdict in verdicts:
        rule = verdict.claim.rule
        if isinstance(rule, Printed):
            lines.append(_number_line(verdict, rule, rows.get(verdict.claim.experiment, ())))
    header = ["result", "original study", "made comparable", "ours", "difference", f"{LEVEL:.0%} interval", "seeds"]
    return drop_empty_columns(Table([*header, "verdict", "where"], lines, 1, cards=True))


def _number_line(verdict: Verdict, rule: Printed, rows: Sequence[Row]) -> list[str]:
    accuracy = rule.metric == "accuracy"
    stands_for = str(comparable(rule.printed, rule.split, rule.batch_size)) if accuracy else MISSING
    judged = verdict.outcome is not None
    values = sample(rows, rule) if judged else []
    padded = judged and next(row for row in rows if row.name == rule.row).runs[0].config.protocol.pad_accuracy
    measured = [MISSING] * 4
    if values:
        bounds = interval(values)
        difference = fmean(values) - (rule.printed if padded else rule.target)
        measured = [
            f"{fmean(values):.4f}",
            f"{100 * difference:+.2f}" if accuracy else f"{difference:+.4f}",
            f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else MISSING,
            str(len(values)) if len(values) > 1 else MISSING,
        ]
    return [verdict.claim.text, f"{rule.printed:.4f}", stands_for, *measured, str(verdict), verdict.claim.where]


def sample(rows: Sequence[Row], rule: Printed) -> list[float]:
    """Return our values of a printed number, one for each seed that has one."""
    return metric_values((run for row in rows if row.name == rule.row for run in row.runs), rule.split, rule.metric)


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the confidence interval of the mean by Student's t, None for fewer than two values."""
    if len(values) < 2:
        return None
    half_width = mean_half_width(values)
    return fmean(values) - half_width, fmean(values) + half_width
