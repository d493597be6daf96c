"""How each rule is applied to the rows of an experiment. Pure functions of results; every row has a finished run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, product
from math import exp, log
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t as student

from experiments.support import judging_latent, rules
from experiments.support.names import shown
from experiments.support.outcomes import Finding, Outcome, above, all_of, not_above, points, within
from experiments.support.runner import Run
from experiments.support.tables import Row
from experiments.support.uncertainty import (
    ENOUGH,
    EPOCHS_FACTOR,
    EPOCHS_MARGIN,
    LEVEL,
    MARGINS,
    Difference,
    against,
    paired,
)

MARGIN = MARGINS["accuracy"]
NO_SEED = Finding(Outcome.UNDECIDED, "no seed has both results")
MANY = 3  # comparisons of one row, of which a reader is told the closest only beyond that
Rows = Mapping[str, Row]


def named(rule: rules.Rule) -> list[str]:
    """Return the rows that a rule needs."""
    match rule:
        case rules.Higher(these, than, _, _):
            return [*these, *than]
        case rules.NoHigher(these, than, _) | rules.Sooner(these, than, _):
            return [*these, than]
        case rules.Alike(row, other, _) | rules.SameCourse(row, other) | rules.Fewer(row, other):
            return [row, other]
        case rules.LossBelow(these):
            return list(these)
        case rules.Rising() | rules.Separating() | rules.Together():
            return ["tuned"]
        case rules.Printed(row) | rules.AtEpoch(row) | rules.Stops(row):
            return [row]


def apply(rule: rules.Rule, rows: Rows) -> Finding:  # noqa: PLR0911
    """Return what the rows show of a rule."""
    match rule:
        case rules.Printed():
            return _printed(rule, rows)
        case rules.Higher():
            pairs = product(rule.splits, rule.rows, rule.than)
            compared = [(rows[row], rows[other], split) for split, row, other in pairs]
            return _all_compared(compared, lambda difference: above(difference, rule.by))
        case rules.NoHigher():
            compared = [(rows[name], rows[rule.than], rule.split) for name in rule.rows]
            return _all_compared(compared, lambda difference: not_above(difference, MARGIN))
        case rules.Alike():
            compared = [(rows[rule.row], rows[rule.other], rule.split)]
            return _all_compared(compared, lambda difference: within(difference, MARGIN))
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
            return judging_latent.apply(rule, rows["tuned"])


def _by_seed(row: Row, split: str, metric: str) -> dict[int, float]:
    return {run.config.seed: run.summary[split][metric] for run in row.runs if run.summary[split]}


class Comparison(NamedTuple):
    """Two rows' accuracies on a split: their means over the seeds that both have, and the difference."""

    row: Row
    other: Row
    split: str
    means: tuple[float, float]
    difference: Difference

    @property
    def against(self) -> str:
        """Return in words how the first lies to the second."""
        return f"{points(self.difference.value)} {shown(self.other.name)} ({self.means[1]:.4f})"


def _compare(row: Row, other: Row, split: str) -> Comparison | None:
    ours, theirs = _by_seed(row, split, "accuracy"), _by_seed(other, split, "accuracy")
    difference = paired(ours, theirs, split, "accuracy")
    if difference is None:
        return None
    both = [seed for seed in ours if seed in theirs]
    means = fmean(ours[seed] for seed in both), fmean(theirs[seed] for seed in both)
    return Comparison(row, other, split, means, difference)


def _all_compared(pairs: Iterable[tuple[Row, Row, str]], decide: Callable[[Difference], Outcome]) -> Finding:
    """Return whether a decision holds for the difference of each pair, and the accuracies in words."""
    compared = [_compare(*pair) for pair in pairs]
    found = [of for of in compared if of is not None]
    if len(found) < len(compared):
        return NO_SEED
    outcome = all_of([Finding(decide(of.difference), "") for of in found]).outcome
    chance = max(of.difference.reach for of in found)
    return Finding(outcome, f"{_in_words(found)}; chance alone: up to {100 * chance:.1f} points")


def _in_words(found: Sequence[Comparison]) -> str:
    """Return comparisons in words, those of one row on one split together; of many the closest alone."""
    parts = []
    for (split, name), group in groupby(found, lambda of: (of.split, of.row.name)):
        of = list(group)
        closest = min(of, key=lambda one: one.difference.value)
        others = f"closest: {closest.against}" if len(of) > MANY else ", ".join(one.against for one in of)
        parts.append(f"{split}: {shown(name)} {of[0].means[0]:.4f}, {others}")
    return "; ".join(parts)


def _printed(rule: rules.Printed, rows: Rows) -> Finding:
    runs = rows[rule.row].runs
    values = [run.summary[rule.split][rule.metric] for run in runs if run.summary[rule.split]]
    if not values:
        return Finding(Outcome.UNDECIDED, "every run diverged")
    target = rule.printed if runs[0].config.protocol.pad_accuracy else rule.target
    difference = against(values, target, rule.split, rule.metric)
    apart = points(difference.value) if rule.metric == "accuracy" else f"{difference.value:+.4f} from"
    return Finding(within(difference, MARGINS[rule.metric]), f"{fmean(values):.4f}, {apart} {target:.4f}")


def _accuracies(run: Run) -> list[float]:
    return [record["validation"]["accuracy"] for record in run.history]


def _reached(run: Run, accuracy: float) -> tuple[int, bool]:
    """Return the epoch in which a run reaches an accuracy, or else its last, and whether it does."""
    values = _accuracies(run)
    found = next((epoch for epoch, value in enumerate(values, 1) if value >= accuracy), None)
    return found or max(len(values), 1), found is not None


def _more_epochs(ours: Mapping[int, int], theirs: Mapping[int, int]) -> Outcome:
    """Return whether the second take more epochs than the first, seed by seed."""
    ratios = [log(theirs[seed] / ours[seed]) for seed in ours if seed in theirs]
    if not ratios:
        return Outcome.UNDECIDED
    reach = log(EPOCHS_FACTOR)
    if len(ratios) >= ENOUGH:
        reach = float(student.ppf((1 + LEVEL) / 2, len(ratios) - 1)) * stdev(ratios) / len(ratios) ** 0.5
    return above(Difference(fmean(ratios), reach))


def _sooner(these: Sequence[Row], other: Row, accuracy: float) -> Finding:
    epochs = [{run.config.seed: _reached(run, accuracy) for run in row.runs} for row in (*these, other)]
    outcomes = [Finding(_one_sooner(ours, epochs[-1]), "") for ours in epochs[:-1]]
    words = [_reach_words(row, of) for row, of in zip((*these, other), epochs, strict=True)]
    return Finding(all_of(outcomes).outcome, f"epochs to {accuracy:g}: {', '.join(words)}")


def _one_sooner(ours: Mapping[int, tuple[int, bool]], theirs: Mapping[int, tuple[int, bool]]) -> Outcome:
    """Return whether the first reach an accuracy sooner; who never does takes at least all of its epochs."""
    we, they = (all(reached for _, reached in of.values()) for of in (ours, theirs))
    if not we:
        return Outcome.FAILS if they else Outcome.UNDECIDED
    outcome = _more_epochs(*({seed: epoch for seed, (epoch, _) in of.items()} for of in (ours, theirs)))
    return Outcome.UNDECIDED if outcome is Outcome.FAILS and not they else outcome


def _reach_words(row: Row, epochs: Mapping[int, tuple[int, bool]]) -> str:
    if not all(reached for _, reached in epochs.values()):
        return f"{shown(row.name)} never"
    return f"{shown(row.name)} {fmean(epoch for epoch, _ in epochs.values()):.0f}"


def _fewer(row: Row, other: Row) -> Finding:
    best = [{run.config.seed: run.summary["best_epoch"] + 1 for run in of.runs if run.history} for of in (row, other)]
    if not all(best):
        return NO_SEED
    means = [fmean(of.values()) for of in best]
    text = f"best epoch: {shown(row.name)} {means[0]:.0f}, {shown(other.name)} {means[1]:.0f}"
    factor = f"two single runs must differ by a factor of {EPOCHS_FACTOR:g}"
    enough = len([seed for seed in best[0] if seed in best[1]]) >= ENOUGH
    return Finding(_more_epochs(*best), text if enough else f"{text}; {factor}")


def _at_epoch(rule: rules.AtEpoch, row: Row) -> Finding:
    target = rule.accuracy if row.runs[0].config.protocol.pad_accuracy else rule.target
    earliest = rule.epoch * (1 - EPOCHS_MARGIN)
    values = [_accuracies(run)[: rule.epoch] for run in row.runs]
    short = [len(of) for of in values if len(of) < earliest]
    if short:
        return Finding(Outcome.UNDECIDED, f"ended in epoch {min(short)}, too early to compare")
    difference = against([of[-1] for of in values], target, "validation", "accuracy")
    ended = [len(of) for of in values if len(of) < rule.epoch]
    epoch = f"the last epoch, {min(ended)}" if ended else f"epoch {rule.epoch}"
    text = f"{fmean(of[-1] for of in values):.4f} in {epoch}, {points(difference.value)} {target:.4f}"
    return Finding(within(difference, MARGIN), text)


def _stops(rule: rules.Stops, row: Row) -> Finding:
    epochs = [len(run.history) for run in row.runs]
    text = f"ended after {fmean(epochs):.0f} epochs"
    if any(run.summary["stopped"] != "patience" for run in row.runs):
        return Finding(Outcome.FAILS, f"{text}, not by early stopping")
    ratio = fmean(log(epoch / rule.epoch) for epoch in epochs)
    if abs(exp(ratio) - 1) <= EPOCHS_MARGIN:
        return Finding(Outcome.HOLDS, f"{text} by early stopping")
    enough = len(epochs) >= ENOUGH or abs(ratio) > log(EPOCHS_FACTOR)
    return Finding(Outcome.FAILS if enough else Outcome.UNDECIDED, f"{text} by early stopping")


def _same_course(row: Row, other: Row) -> Finding:
    histories = [{run.config.seed: _accuracies(run) for run in of.runs} for of in (row, other)]
    apart = [_apart(values, histories[1][seed]) for seed, values in histories[0].items() if seed in histories[1]]
    if not apart:
        return NO_SEED
    mean = fmean(apart)
    outcome = Outcome.HOLDS if mean <= MARGIN else Outcome.FAILS if mean > 2 * MARGIN else Outcome.UNDECIDED
    return Finding(outcome, f"{100 * mean:.2f} points apart on average over the epochs of both")


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    pairs = list(zip(ours, theirs, strict=False))
    return fmean(abs(a - b) for a, b in pairs) if pairs else 1.0


def _loss_below(rows: Sequence[Row]) -> Finding:
    shares = {row.name: fmean(map(_share_below, row.runs)) for row in rows}
    held = [name for name, share in shares.items() if share > 0.5]
    text = "share of epochs: " + ", ".join(f"{shown(name)} {share:.0%}" for name, share in shares.items())
    return Finding(Outcome.HOLDS if held else Outcome.FAILS, text)


def _share_below(run: Run) -> float:
    return fmean(of["validation"]["loss"] < of["train"]["loss"] for of in run.history) if run.history else 0.0
