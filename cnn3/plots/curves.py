"""Curves of training.

A history is what `fit` returns: a record an epoch with `train` and `validation`, each with `loss` and `accuracy`, and
the `seconds` it took.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, product
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnn3.metrics import best_epoch
from cnn3.plots.style import COLORS, columns, frame

Metric = Literal["accuracy", "loss"]
Against = Literal["epochs", "time"]
SplitName = Literal["train", "validation"]
History = Sequence[Mapping[str, Any]]
Positions = Callable[[History], Float[np.ndarray, " epochs"]]  # of a history's epochs on the horizontal axis

LABELS: Mapping[Metric, str] = {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}
HEADINGS: Mapping[SplitName, str] = {"validation": "Validation", "train": "Training (augmented images)"}
TRAIN, VALIDATION = COLORS[1], COLORS[0]
STYLES = tuple((color, line) for line, color in product(("-", "--", ":"), COLORS))
UNITS = {"h": 3600, "min": 60, "s": 1}  # of time, in seconds
FEW = 3  # points, too few for a line alone to be seen


def curves(histories: Sequence[History], metric: Metric, title: str) -> Figure:
    """Return training and validation curves of one run, or of several that differ in their seed.

    Several: the mean and its standard deviation over the epochs that every run reached, each run drawn faintly in
    full. The best epoch, the first of highest validation accuracy, is marked. Runs without an epoch are left out.
    """
    begun = [history for history in histories if history]
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, begun, "train", metric, color=TRAIN, label="training")
    _draw(axes, begun, "validation", metric, color=VALIDATION, label="validation")
    _mark_best(axes, begun, metric)
    _finish(axes, begun, metric, f"{title}{_seeds([begun])}")
    _legend(figure, axes)
    return figure


def comparison(
    named: Mapping[str, Sequence[History]], metrics: Sequence[Metric], title: str, against: Against = "epochs"
) -> Figure:
    """Return a panel for each split and metric, with a curve for each name; several histories as in `curves`.

    Against time, a point stands where the epoch ended: at the sum of the seconds until then, the mean over the runs.
    """
    begun = {name: [history for history in histories if history] for name, histories in named.items()}
    drawn = [history for histories in begun.values() for history in histories]
    unit = _unit(drawn) if against == "time" else None
    positions = (lambda history: _elapsed(history) / UNITS[unit]) if unit else _numbers
    figure = Figure(figsize=(4.6 * len(metrics), 6.6), layout="constrained")
    panels = figure.subplots(len(HEADINGS), len(metrics), sharex=True, sharey="col", squeeze=False)
    for row, (split, heading) in zip(panels, HEADINGS.items(), strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            for (name, histories), (color, line) in zip(begun.items(), cycle(STYLES), strict=False):
                label = name if histories else f"{name} (no epoch ended)"
                _draw(axes, histories, split, metric, positions, color=color, linestyle=line, label=label)
            _finish(axes, drawn, metric, heading)
            if unit:
                axes.set_xlim(0, 1.03 * max((positions(history)[-1] for history in drawn), default=1))
                axes.xaxis.set_major_locator(MaxNLocator(8))
                axes.set_xlabel(f"Training time ({unit})", fontsize=11)
            axes.label_outer()
            axes.yaxis.set_tick_params(labelleft=True)
            axes.set_ylabel(LABELS[metric], fontsize=11)
    figure.suptitle(f"{title}{_seeds(begun.values())}", fontsize=13)
    _legend(figure, panels[0, 0])
    return figure


def _numbers(history: History) -> Float[np.ndarray, " epochs"]:
    return np.arange(1.0, len(history) + 1)


def _elapsed(history: History) -> Float[np.ndarray, " epochs"]:
    """Return the seconds from the start to the end of each epoch."""
    return np.cumsum([record["seconds"] for record in history])


def _unit(histories: Iterable[History]) -> str:
    """Return the largest unit of which the longest history is two or more, else the smallest."""
    longest = max((_elapsed(history)[-1] for history in histories), default=0)
    return next((unit for unit, size in UNITS.items() if longest >= 2 * size), "s")


def _seeds(groups: Iterable[Sequence[History]]) -> str:
    """Return what a title says of groups of runs, nothing if none holds several."""
    counts = {len(group) for group in groups} - {0}
    if max(counts, default=1) == 1:
        return ""
    least, most = min(counts), max(counts)
    return f" (mean ± std of {most if least == most else f'{least} to {most}'} seeds)"


def _draw(
    axes: Axes,
    histories: Sequence[History],
    split: SplitName,
    metric: Metric,
    positions: Positions = _numbers,
    *,
    color: str,
    label: str,
    linestyle: str = "-",
) -> None:
    """Draw one metric of one split: one run as a line; several as faint lines with mean and standard deviation."""
    runs = [(positions(history), _values(history, split, metric)) for history in histories]
    common = min((len(values) for _, values in runs), default=0)
    at, mean = np.zeros(0), np.zeros(0)
    if runs:
        at = np.mean([where[:common] for where, _ in runs], 0)
        stack = np.stack([values[:common] for _, values in runs])
        mean = stack.mean(0)
        if len(runs) > 1:
            std = stack.std(0, ddof=1)
            axes.fill_between(at, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
    marker = "." if common <= FEW else ""
    axes.plot(at, mean, color=color, linewidth=1.8, linestyle=linestyle, marker=marker, markersize=9, label=label)
    for where, values in runs if len(runs) > 1 else ():
        axes.plot(where, values, color=color, alpha=0.35, linewidth=0.8, linestyle=linestyle)


def _mark_best(axes: Axes, histories: Sequence[History], metric: Metric) -> None:
    """Mark each run's best epoch on its validation curve, and name it if there is one run."""
    best = [best_epoch([record["validation"]["accuracy"] for record in history]) for history in histories]
    values = [history[epoch]["validation"][metric] for history, epoch in zip(histories, best, strict=True)]
    if not best:
        axes.text(0.5, 0.5, "no epoch ended", transform=axes.transAxes, ha="center", va="center", fontsize=11)
        axes.set_yticks([])
        return
    label = f"best (epoch {best[0] + 1}): {values[0]:.4f}" if len(best) == 1 else "best epoch of each seed"
    style = {"markersize": 8, "markeredgecolor": "white", "color": VALIDATION, "zorder": 5}
    axes.plot([epoch + 1 for epoch in best], values, "o", label=label, **style)


def _values(history: History, split: SplitName, metric: Metric) -> Float[np.ndarray, " epochs"]:
    return np.array([record[split][metric] for record in history], float)


def _finish(axes: Axes, histories: Sequence[History], metric: Metric, title: str) -> None:
    """Label the axes, the epochs counted from 1."""
    epochs = max(map(len, histories), default=1)
    margin = 0.5 if epochs == 1 else min(0.03 * (epochs - 1), 0.9)
    axes.set_xlim(1 - margin, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    frame(axes, "Epoch", LABELS[metric], title)


def _legend(figure: Figure, axes: Axes) -> None:
    """Put the legend of `axes` under the figure, clear of the curves."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns(len(labels), 4), fontsize=10, frameon=False
    )
