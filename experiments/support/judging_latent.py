"""How the rules on the latent space are applied to the scores of the tuned run's stages."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import correlation, fmean
from typing import Any

from scipy.stats import rankdata

from experiments.support.outcomes import Finding, Outcome, above, all_of
from experiments.support.rules import Rising, Rule, Separating, Together
from experiments.support.tables import Row
from experiments.support.uncertainty import Difference, of_images

STAGES = {"initial": "start", "epoch20": "epoch 21", "best": "end"}
NAMES = {"neighbours": "nearest neighbours", "probe": "linear probe", "silhouette": "silhouette"}
FEWEST = 4  # stages whose order says something
NO_STAGE = Finding(Outcome.UNDECIDED, "no weights of start, middle and end")

Stages = Mapping[str, list[dict[str, Any]]]


def apply(rule: Rule, row: Row) -> Finding:
    """Return what a row with latent scores shows of a rule."""
    scores: Stages = {of["stage"]: [seed for seed in of["seeds"] if seed] for of in row.more.get("latent", ())}
    match rule:
        case Rising():
            return _rising(rule, scores)
        case Separating():
            return _separating(rule, scores)
        case Together():
            return _together(rule, row)
        case _:
            raise TypeError(f"{type(rule).__name__} is no rule on the latent space")


def _means(scores: Stages, field: str) -> list[float] | None:
    if not all(scores.get(name) for name in STAGES):
        return None
    return [fmean(seed[field] for seed in scores[name]) for name in STAGES]


def _words(field: str, values: list[float]) -> str:
    return f"{NAMES[field]}: " + ", ".join(
        f"{name} {value:.4f}" for name, value in zip(STAGES.values(), values, strict=True)
    )


def _rising(rule: Rising, scores: Stages) -> Finding:
    findings = []
    for field, images in rule.images:
        means = _means(scores, field)
        if means is None:
            return NO_STAGE
        steps = [Finding(above(of_images(before, after, images)), "") for before, after in pairwise(means)]
        findings.append(Finding(all_of(steps).outcome, _words(field, means)))
    return all_of(findings)


def _separating(rule: Separating, scores: Stages) -> Finding:
    means = _means(scores, "silhouette")
    if means is None:
        return NO_STAGE
    steps = [Finding(above(Difference(after - before, rule.least)), "") for before, after in pairwise(means)]
    return Finding(all_of(steps).outcome, _words("silhouette", means))


def _together(rule: Together, row: Row) -> Finding:
    """Rank a seed's stages after training began by both, and take the mean over the seeds."""
    correlations, epochs = [], 0
    for index, run in enumerate(row.runs):
        found = [of["seeds"][index] for of in row.more.get("latent", ()) if of["seeds"][index]]
        pairs = {of["epochs"]: of[rule.score] for of in found if of["epochs"]}
        if len(pairs) < FEWEST:
            return Finding(Outcome.UNDECIDED, f"only {len(pairs)} epochs with weights")
        accuracies = [run.history[epoch - 1]["validation"]["accuracy"] for epoch in pairs]
        correlations.append(correlation(rankdata(list(pairs.values())).tolist(), rankdata(accuracies).tolist()))
        epochs = len(pairs)
    mean = fmean(correlations)
    outcome = Outcome.HOLDS if mean >= rule.correlation else Outcome.FAILS if mean <= 0 else Outcome.UNDECIDED
    return Finding(outcome, f"rank correlation {mean:.2f} over {epochs} epochs")
