"""Evaluate the rules about the latent space on the scores of the tuned run's snapshots."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import correlation, fmean
from typing import Any

from scipy.stats import rankdata

from experiments.support.findings import Finding, Outcome, combine_outcomes, decide_above
from experiments.support.rules import Rising, Rule, Separating, Together
from experiments.support.tables import Row
from experiments.support.uncertainty import Difference, sampling_difference

SNAPSHOTS = {"initial": "start", "epoch20": "epoch 21", "best": "end"}
SCORE_NAMES = {"neighbours": "nearest neighbours", "probe": "linear probe", "silhouette": "silhouette"}
MIN_SNAPSHOTS = 4  # fewer say nothing about a rank correlation
NO_SNAPSHOT = Finding(Outcome.UNDECIDED, "no weights of start, middle and end")

Scores = Mapping[str, list[dict[str, Any]]]  # of each seed that has the snapshot


def evaluate(rule: Rule, row: Row) -> Finding:
    """Return the finding of a rule on a row with latent scores."""
    snapshots = row.extra.get("latent", ())
    scores: Scores = {entry["stage"]: [seed for seed in entry["seeds"] if seed] for entry in snapshots}
    match rule:
        case Rising():
            return _rising(rule, scores)
        case Separating():
            return _separating(rule, scores)
        case Together():
            return _together(rule, row)
        case _:
            raise TypeError(f"{type(rule).__name__} is no rule on the latent space")


def _means(scores: Scores, field: str) -> list[float] | None:
    """Return a score at start, middle and end, None if a snapshot is missing."""
    if not all(scores.get(name) for name in SNAPSHOTS):
        return None
    return [fmean(seed[field] for seed in scores[name]) for name in SNAPSHOTS]


def _describe(field: str, means: list[float]) -> str:
    values = (f"{name} {value:.4f}" for name, value in zip(SNAPSHOTS.values(), means, strict=True))
    return f"{SCORE_NAMES[field]}: {', '.join(values)}"


def _rising(rule: Rising, scores: Scores) -> Finding:
    outcomes, texts = [], []
    for field, images in rule.images:
        means = _means(scores, field)
        if means is None:
            return NO_SNAPSHOT
        outcomes += [decide_above(sampling_difference(before, after, images)) for before, after in pairwise(means)]
        texts.append(_describe(field, means))
    return Finding(combine_outcomes(outcomes), "; ".join(texts))


def _separating(rule: Separating, scores: Scores) -> Finding:
    means = _means(scores, "silhouette")
    if means is None:
        return NO_SNAPSHOT
    outcomes = [decide_above(Difference(after - before, rule.least)) for before, after in pairwise(means)]
    return Finding(combine_outcomes(outcomes), _describe("silhouette", means))


def _together(rule: Together, row: Row) -> Finding:
    """Correlate the ranks of score and accuracy over a seed's trained snapshots, and take the mean over the seeds."""
    correlations, epochs = [], 0
    for index, run in enumerate(row.runs):
        seeds = [entry["seeds"][index] for entry in row.extra.get("latent", ())]
        scores = {seed["epochs"]: seed[rule.score] for seed in seeds if seed and seed["epochs"]}
        if len(scores) < MIN_SNAPSHOTS:
            return Finding(Outcome.UNDECIDED, f"only {len(scores)} epochs with weights")
        accuracies = run.validation_accuracies()
        at_snapshots = [accuracies[epoch - 1] for epoch in scores]
        correlations.append(correlation(rankdata(list(scores.values())).tolist(), rankdata(at_snapshots).tolist()))
        epochs = len(scores)
    mean = fmean(correlations)
    outcome = Outcome.HOLDS if mean >= rule.correlation else Outcome.FAILS if mean <= 0 else Outcome.UNDECIDED
    return Finding(outcome, f"rank correlation {mean:.2f} over {epochs} epochs")
