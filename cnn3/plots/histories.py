"""What curves are drawn from: the histories of runs, and numbers printed elsewhere to compare them with.

A history is what `fit` returns: a record an epoch with `train` and `validation`, each with `loss` and `accuracy`, and
the `seconds` it took.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.typing import LineStyleType

from cnn3.training.metrics import best_epoch

Metric = Literal["accuracy", "loss"]
SplitName = Literal["train", "validation"]
History = Sequence[Mapping[str, Any]]
Positions = Callable[[History], Float[np.ndarray, " epochs"]]  # of a history's epochs on the horizontal axis
Limits = Mapping[Metric, tuple[float, float]]

METRICS: tuple[Metric, ...] = ("accuracy", "loss")
SPLITS: tuple[SplitName, ...] = ("train", "validation")
LABELS: Mapping[Metric, str] = {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}
MARGIN = 0.04  # of the range of values, above and below it
FEW = 3  # points, too few for a line alone to be seen
UNITS = {"h": 3600, "min": 60, "s": 1}  # of time, in seconds


class Printed(NamedTuple):
    """A number printed elsewhere; with an epoch, counted from 1, one told roughly of that epoch."""

    value: float
    epoch: int | None = None


PrintedNumbers = Mapping[tuple[SplitName, Metric], Printed]


def begun(histories: Iterable[History]) -> list[History]:
    """Return the histories that have an epoch."""
    return [history for history in histories if history]


def numbers(history: History) -> Float[np.ndarray, " epochs"]:
    """Return the numbers of the epochs, from 1."""
    return np.arange(1.0, len(history) + 1)


def elapsed(history: History) -> Float[np.ndarray, " epochs"]:
    """Return the seconds from the start to the end of each epoch."""
    return np.cumsum([record["seconds"] for record in history])


def time_unit(histories: Iterable[History]) -> str:
    """Return the largest unit of which the longest history is two or more, else the smallest."""
    longest = max((elapsed(history)[-1] for history in histories), default=0)
    return next((unit for unit, size in UNITS.items() if longest >= 2 * size), "s")


def values(history: History, split: SplitName, metric: Metric) -> Float[np.ndarray, " epochs"]:
    """Return a metric of each epoch."""
    return np.array([record[split][metric] for record in history], float)


def kept(history: History) -> int:
    """Return the index of the epoch whose weights are kept, the first of highest validation accuracy."""
    return best_epoch([record["validation"]["accuracy"] for record in history])


def limits(histories: Iterable[History], printed: Iterable[PrintedNumbers] = ()) -> dict[Metric, tuple[float, float]]:
    """Return for each metric the range of all that is finite, with a margin, so that several figures can share it."""
    runs, others = begun(histories), list(printed)
    found: dict[Metric, tuple[float, float]] = {}
    for metric in METRICS:
        drawn = [values(history, split, metric) for history in runs for split in SPLITS]
        drawn += [np.array([of.value]) for each in others for (_, about), of in each.items() if about == metric]
        finite = np.concatenate([np.zeros(0), *(of[np.isfinite(of)] for of in drawn)])
        if len(finite):
            margin = MARGIN * (finite.max() - finite.min()) or MARGIN
            found[metric] = (float(finite.min() - margin), float(finite.max() + margin))
    return found


def spread(groups: Iterable[Sequence[History]]) -> str:
    """Return what a subtitle says of groups of runs, nothing if none holds several."""
    counts = {len(group) for group in groups} - {0}
    if max(counts, default=1) == 1:
        return ""
    least, most = min(counts), max(counts)
    return f" Lines and bands: mean ± standard deviation of {most if least == most else f'{least} to {most}'} seeds."


def draw(
    axes: Axes,
    histories: Sequence[History],
    split: SplitName,
    metric: Metric,
    positions: Positions = numbers,
    *,
    color: str,
    label: str,
    linestyle: LineStyleType = "-",
    linewidth: float = 1.8,
) -> None:
    """Draw one metric of one split: one run as a line; several as faint lines with mean and standard deviation.

    Several: over the epochs that every run reached, each run drawn faintly in full.
    """
    runs = [(positions(history), values(history, split, metric)) for history in histories]
    common = min((len(of) for _, of in runs), default=0)
    at, mean = np.zeros(0), np.zeros(0)
    if runs:
        at = np.mean([where[:common] for where, _ in runs], 0)
        stack = np.stack([of[:common] for _, of in runs])
        mean = stack.mean(0)
        if len(runs) > 1:
            std = stack.std(0, ddof=1)
            axes.fill_between(at, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
    style = {"color": color, "linestyle": linestyle}
    marker = "." if common <= FEW else ""
    axes.plot(at, mean, linewidth=linewidth, marker=marker, markersize=9, label=label, **style)
    for where, of in runs if len(runs) > 1 else ():
        axes.plot(where, of, alpha=0.35, linewidth=0.8, **style)


def mark_kept(
    axes: Axes,
    histories: Sequence[History],
    metric: Metric,
    positions: Positions = numbers,
    *,
    color: str,
    label: str = "_kept",
) -> None:
    """Mark on the validation curve of each run the epoch whose weights are kept."""
    epochs = [kept(history) for history in histories]
    at = [positions(history)[epoch] for history, epoch in zip(histories, epochs, strict=True)]
    of = [history[epoch]["validation"][metric] for history, epoch in zip(histories, epochs, strict=True)]
    style = {"markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 1.2, "zorder": 5}
    axes.plot(at, of, "o", color=color, label=label, **style)
