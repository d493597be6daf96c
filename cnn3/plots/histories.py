"""Curves of the histories of runs, and the reported numbers that they are compared with.

A history is what `fit` returns: a record for each epoch with `train` and `validation`, each with `loss` and
`accuracy`, and the `seconds` it took.
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
MARGIN = 0.04  # above and below the range of values, as a fraction of it
MIN_POINTS_FOR_LINE = 4  # a shorter line is hard to see, so its points are marked
TIME_UNITS = {"h": 3600, "min": 60, "s": 1}  # in seconds


class ReportedNumber(NamedTuple):
    """A number that the original study reports; `epoch`, counted from 1, is set if it holds for about that epoch."""

    value: float
    epoch: int | None = None


ReportedNumbers = Mapping[tuple[SplitName, Metric], ReportedNumber]


def nonempty(histories: Iterable[History]) -> list[History]:
    """Return the histories that have at least one epoch."""
    return [history for history in histories if history]


def epoch_numbers(history: History) -> Float[np.ndarray, " epochs"]:
    """Return the numbers of the epochs, counted from 1."""
    return np.arange(1.0, len(history) + 1)


def elapsed(history: History) -> Float[np.ndarray, " epochs"]:
    """Return the seconds from the start to the end of each epoch."""
    return np.cumsum([record["seconds"] for record in history])


def time_unit(histories: Iterable[History]) -> str:
    """Return the largest unit in which the longest history takes at least two, or else the smallest."""
    longest = max((elapsed(history)[-1] for history in histories), default=0)
    return next((unit for unit, size in TIME_UNITS.items() if longest >= 2 * size), "s")


def metric_values(history: History, split: SplitName, metric: Metric) -> Float[np.ndarray, " epochs"]:
    """Return a metric at each epoch."""
    return np.array([record[split][metric] for record in history], float)


def kept_epoch(history: History) -> int:
    """Return the index of the epoch whose weights are kept, the first of highest validation accuracy."""
    return best_epoch([record["validation"]["accuracy"] for record in history])


def limits(histories: Iterable[History], reported: Iterable[ReportedNumbers] = ()) -> dict[Metric, tuple[float, float]]:
    """Return the range of each metric's finite values, with a margin, for several figures to share."""
    runs, references = nonempty(histories), list(reported)
    ranges: dict[Metric, tuple[float, float]] = {}
    for metric in METRICS:
        values = [value for history in runs for split in SPLITS for value in metric_values(history, split, metric)]
        values += [number.value for numbers in references for (_, name), number in numbers.items() if name == metric]
        finite = np.array(values, float)[np.isfinite(values)]
        if len(finite):
            margin = MARGIN * (finite.max() - finite.min()) or MARGIN
            ranges[metric] = (float(finite.min() - margin), float(finite.max() + margin))
    return ranges


def seeds_note(groups: Iterable[Sequence[History]]) -> str:
    """Return what a subtitle says about the seeds of groups of runs; nothing if no group has several."""
    counts = {len(group) for group in groups} - {0}
    if max(counts, default=1) == 1:
        return ""
    low, high = min(counts), max(counts)
    return f" Lines and bands: mean ± standard deviation of {high if low == high else f'{low} to {high}'} seeds."


def draw_metric(
    axes: Axes,
    histories: Sequence[History],
    split: SplitName,
    metric: Metric,
    positions: Positions = epoch_numbers,
    *,
    color: str,
    label: str,
    linestyle: LineStyleType = "-",
    linewidth: float = 1.8,
) -> None:
    """Draw one metric of one split: one run as a line, several as their mean with a band of one standard deviation.

    Mean and band cover the epochs that every run reached; each of the runs is drawn faintly in full.
    """
    runs = [(positions(history), metric_values(history, split, metric)) for history in histories]
    common = min((len(values) for _, values in runs), default=0)
    x, mean = np.zeros(0), np.zeros(0)
    if runs:
        x = np.mean([run_x[:common] for run_x, _ in runs], 0)
        stack = np.stack([values[:common] for _, values in runs])
        mean = stack.mean(0)
        if len(runs) > 1:
            std = stack.std(0, ddof=1)
            axes.fill_between(x, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
    style = {"color": color, "linestyle": linestyle}
    marker = "." if common < MIN_POINTS_FOR_LINE else ""
    axes.plot(x, mean, linewidth=linewidth, marker=marker, markersize=9, label=label, **style)
    for run_x, values in runs if len(runs) > 1 else ():
        axes.plot(run_x, values, alpha=0.35, linewidth=0.8, **style)


def mark_kept(
    axes: Axes,
    histories: Sequence[History],
    metric: Metric,
    positions: Positions = epoch_numbers,
    *,
    color: str,
    label: str = "_kept",
) -> None:
    """Mark the epoch whose weights are kept on the validation curve of each run."""
    epochs = [kept_epoch(history) for history in histories]
    x = [positions(history)[epoch] for history, epoch in zip(histories, epochs, strict=True)]
    y = [history[epoch]["validation"][metric] for history, epoch in zip(histories, epochs, strict=True)]
    style = {"markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 1.2, "zorder": 5}
    axes.plot(x, y, "o", color=color, label=label, **style)
