"""Evaluate each rule on the rows of an experiment. Pure functions of results; every row has a finished run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, product
from math import exp, log
from statistics import fmean
from typing import NamedTuple

from experiments.support import evaluate_latent_rules, rules
from experiments.support.display_names import display_name
from experiments.support.findings import (
    Finding,
    Outcome,
    combine_outcomes,
    decide_above,
    decide_not_above,
    decide_within,
    format_points,
)
from experiments.support.run import Run, metric_values
from experiments.support.tables import Row
from experiments.support.uncertainty import (
    EPOCHS_FACTOR,
    EPOCHS_MARGIN,
    MARGINS,
    MIN_SEEDS,
    Difference,
    difference_from,
    mean_half_width,
    paired_difference,
)

MARGIN = MARGINS["accuracy"]
NO_SEED = Finding(Outcome.UNDECIDED, "no seed has both results")
MAX_LISTED = 3  # comparisons of one row; of more, only the closest is listed
Rows = Mapping[str, Row]


def required_rows(rule: rules.Rule) -> list[str]:
    """Return the names of the rows that a rule needs."""
    match rule:
        case rules.Higher(rows, than, _, _):
            return [*rows, *than]
        case rules.NoHigher(rows, than, _) | rules.Sooner(rows, than, _):
            return [*rows, than]
        case rules.Alike(row, other, _) | rules.SameCourse(row, other) | rules.Fewer(row, other):
            return [row, other]
        case rules.LossBelow(rows):
            return list(rows)
        case rules.Rising() | rules.Separating() | rules.Together():
            return ["tuned"]
        case rules.Printed(row) | rules.AtEpoch(row) | rules.Stops(row):
            return [row]


def evaluate(rule: rules.Rule, rows: Rows) -> Finding:  # noqa: PLR0911
    """Return the finding of a rule on the rows."""
    match rule:
        case rules.Printed():
            return _printed(rule, rows[rule.row])
        case rules.Higher():
            pairs = product(rule.splits, rule.rows, rule.than)
            comparisons = [(rows[row], rows[other], split) for split, row, other in pairs]
            return _decide_all(comparisons, lambda difference: decide_above(difference, rule.by))
        case rules.NoHigher():
            comparisons = [(rows[name], rows[rule.than], rule.split) for name in rule.rows]
            return _decide_all(comparisons, lambda difference: decide_not_above(difference, MARGIN))
        case rules.Alike():
            comparisons = [(rows[rule.row], rows[rule.other], rule.split)]
            return _decide_all(comparisons, lambda difference: decide_within(difference, MARGIN))
        case rules.Sooner():
            return _sooner([rows[name] for name in rule.rows], rows[rule.than], rule.accuracy)
        case rules.Fewer():
            return _fewer(rows[rule.row], rows[rule.than])
        case rules.AtEpoch():
            return _at_epoch(rule, rows[rule.row])
        case rules.Stops():
            return _stops(rule, rows[rule.row])
        case rules.SameCourse():
            return _same_course(rows[rule.row], rows[rule.other])
        case rules.LossBelow():
            return _loss_below([rows[name] for name in rule.rows])
        case _:
            return evaluate_latent_rules.evaluate(rule, rows["tuned"])


class Comparison(NamedTuple):
    """The accuracies of two rows on a split: their means over the common seeds, and the difference."""

    row: Row
    other: Row
    split: str
    means: tuple[float, float]
    difference: Difference

    @property
    def text(self) -> str:
        """Return how the first row compares with the other, in words."""
        return f"{format_points(self.difference.value)} {display_name(self.other.name)} ({self.means[1]:.4f})"


def _accuracies(row: Row, split: str) -> dict[int, float]:
    """Return by seed the accuracy of the runs that have one."""
    values = {run.config.seed: run.summary.metric(split, "accuracy") for run in row.runs}
    return {seed: value for seed, value in values.items() if value is not None}


def _compare(row: Row, other: Row, split: str) -> Comparison | None:
    first, second = _accuracies(row, split), _accuracies(other, split)
    pairs = [(first[seed], second[seed]) for seed in first if seed in second]
    if not pairs:
        return None
    means = fmean(value for value, _ in pairs), fmean(value for _, value in pairs)
    return Comparison(row, other, split, means, paired_difference(pairs, split, "accuracy"))


def _decide_all(pairs: Sequence[tuple[Row, Row, str]], decide: Callable[[Difference], Outcome]) -> Finding:
    """Return whether a decision holds for the difference of every pair, with the accuracies."""
    comparisons = [comparison for pair in pairs if (comparison := _compare(*pair)) is not None]
    if len(comparisons) < len(pairs):
        return NO_SEED
    outcome = combine_outcomes([decide(comparison.difference) for comparison in comparisons])
    chance = max(comparison.difference.half_width for comparison in comparisons)
    return Finding(outcome, f"{_describe(comparisons)}; chance alone: up to {100 * chance:.1f} points")


def _describe(comparisons: Iterable[Comparison]) -> str:
    """Return comparisons in words, grouped by split and row; of a large group only the closest."""
    parts = []
    for (split, name), members in groupby(comparisons, lambda comparison: (comparison.split, comparison.row.name)):
        group = list(members)
        closest = min(group, key=lambda comparison: comparison.difference.value)
        if len(group) > MAX_LISTED:
            others = f"closest: {closest.text}"
        else:
            others = ", ".join(comparison.text for comparison in group)
        parts.append(f"{split}: {display_name(name)} {group[0].means[0]:.4f}, {others}")
    return "; ".join(parts)


def _printed(rule: rules.Printed, row: Row) -> Finding:
    values = metric_values(row.runs, rule.split, rule.metric)
    if not values:
        return Finding(Outcome.UNDECIDED, "every run diverged")
    target = rule.printed if row.runs[0].config.protocol.pad_accuracy else rule.target
    difference = difference_from(values, target, rule.split, rule.metric)
    distance = format_points(difference.value) if rule.metric == "accuracy" else f"{difference.value:+.4f} from"
    outcome = decide_within(difference, MARGINS[rule.metric])
    return Finding(outcome, f"{fmean(values):.4f}, {distance} {target:.4f}")


class EpochsTo(NamedTuple):
    """The number of epochs until a run reaches an accuracy, or of all its epochs if it never does."""

    epochs: int
    reached: bool


def _epochs_to(row: Row, accuracy: float) -> dict[int, EpochsTo]:
    """Return by seed how many epochs the runs of a row take to reach an accuracy."""
    epochs = {run.config.seed: (run.epochs_to(accuracy), max(len(run.history), 1)) for run in row.runs}
    return {seed: EpochsTo(reached or total, reached is not None) for seed, (reached, total) in epochs.items()}


def _decide_fewer_epochs(first: Mapping[int, int], second: Mapping[int, int]) -> Outcome:
    """Return whether the first take fewer epochs than the second, seed by seed."""
    ratios = [log(second[seed] / first[seed]) for seed in first if seed in second]
    if not ratios:
        return Outcome.UNDECIDED
    half_width = mean_half_width(ratios) if len(ratios) >= MIN_SEEDS else log(EPOCHS_FACTOR)
    return decide_above(Difference(fmean(ratios), half_width))


def _sooner(rows: Sequence[Row], other: Row, accuracy: float) -> Finding:
    *first, second = [_epochs_to(row, accuracy) for row in (*rows, other)]
    outcome = combine_outcomes([_decide_sooner(epochs, second) for epochs in first])
    texts = [_describe_epochs(row, epochs) for row, epochs in zip((*rows, other), (*first, second), strict=True)]
    return Finding(outcome, f"epochs to {accuracy:g}: {', '.join(texts)}")


def _decide_sooner(first: Mapping[int, EpochsTo], second: Mapping[int, EpochsTo]) -> Outcome:
    """Return whether the first reach an accuracy sooner; runs that never do count with all of their epochs."""
    first_reached, second_reached = (all(seed.reached for seed in seeds.values()) for seeds in (first, second))
    if not first_reached:
        return Outcome.FAILS if second_reached else Outcome.UNDECIDED
    outcome = _decide_fewer_epochs(
        *({seed: value.epochs for seed, value in seeds.items()} for seeds in (first, second))
    )
    return Outcome.UNDECIDED if outcome is Outcome.FAILS and not second_reached else outcome


def _describe_epochs(row: Row, seeds: Mapping[int, EpochsTo]) -> str:
    if not all(seed.reached for seed in seeds.values()):
        return f"{display_name(row.name)} never"
    return f"{display_name(row.name)} {fmean(seed.epochs for seed in seeds.values()):.0f}"


def _best_epochs(row: Row) -> dict[int, int]:
    """Return by seed the best epoch, counted from 1, of the runs that have one."""
    best = {run.config.seed: run.summary.best_epoch for run in row.runs}
    return {seed: epoch + 1 for seed, epoch in best.items() if epoch is not None}


def _fewer(row: Row, other: Row) -> Finding:
    first, second = _best_epochs(row), _best_epochs(other)
    if not first or not second:
        return NO_SEED
    means = fmean(first.values()), fmean(second.values())
    text = f"best epoch: {display_name(row.name)} {means[0]:.0f}, {display_name(other.name)} {means[1]:.0f}"
    factor = f"two single runs must differ by a factor of {EPOCHS_FACTOR:g}"
    enough = len(first.keys() & second.keys()) >= MIN_SEEDS
    return Finding(_decide_fewer_epochs(first, second), text if enough else f"{text}; {factor}")


def _at_epoch(rule: rules.AtEpoch, row: Row) -> Finding:
    target = rule.accuracy if row.runs[0].config.protocol.pad_accuracy else rule.target
    earliest = rule.epoch * (1 - EPOCHS_MARGIN)
    curves = [run.validation_accuracies()[: rule.epoch] for run in row.runs]
    shortest = min(map(len, curves))
    if shortest < earliest:
        return Finding(Outcome.UNDECIDED, f"ended in epoch {shortest}, too early to compare")
    values = [curve[-1] for curve in curves]
    difference = difference_from(values, target, "validation", "accuracy")
    epoch = f"the last epoch, {shortest}" if shortest < rule.epoch else f"epoch {rule.epoch}"
    text = f"{fmean(values):.4f} in {epoch}, {format_points(difference.value)} {target:.4f}"
    return Finding(decide_within(difference, MARGIN), text)


def _stops(rule: rules.Stops, row: Row) -> Finding:
    epochs = [len(run.history) for run in row.runs]
    text = f"ended after {fmean(epochs):.0f} epochs"
    if any(run.summary.stopped != "patience" for run in row.runs):
        return Finding(Outcome.FAILS, f"{text}, not by early stopping")
    ratio = fmean(log(epoch / rule.epoch) for epoch in epochs)
    if abs(exp(ratio) - 1) <= EPOCHS_MARGIN:
        return Finding(Outcome.HOLDS, f"{text} by early stopping")
    enough = len(epochs) >= MIN_SEEDS or abs(ratio) > log(EPOCHS_FACTOR)
    return Finding(Outcome.FAILS if enough else Outcome.UNDECIDED, f"{text} by early stopping")


def _same_course(row: Row, other: Row) -> Finding:
    curves, other_curves = (
        {run.config.seed: run.validation_accuracies() for run in rows.runs} for rows in (row, other)
    )
    distances = [_mean_distance(curve, other_curves[seed]) for seed, curve in curves.items() if seed in other_curves]
    if not distances:
        return NO_SEED
    mean = fmean(distances)
    outcome = Outcome.HOLDS if mean <= MARGIN else Outcome.FAILS if mean > 2 * MARGIN else Outcome.UNDECIDED
    return Finding(outcome, f"{100 * mean:.2f} points apart on average over the epochs of both")


def _mean_distance(first: Sequence[float], second: Sequence[float]) -> float:
    pairs = list(zip(first, second, strict=False))
    return fmean(abs(a - b) for a, b in pairs) if pairs else 1.0


def _loss_below(rows: Sequence[Row]) -> Finding:
    shares = {row.name: fmean(map(_share_below, row.runs)) for row in rows}
    holds = any(share > 0.5 for share in shares.values())
    text = "share of epochs: " + ", ".join(f"{display_name(name)} {share:.0%}" for name, share in shares.items())
    return Finding(Outcome.HOLDS if holds else Outcome.FAILS, text)


def _share_below(run: Run) -> float:
    """Return the fraction of epochs with a validation loss below the training loss."""
    if not run.history:
        return 0.0
    return fmean(record["validation"]["loss"] < record["train"]["loss"] for record in run.history)
