"""Curves of one run, or of one configuration's runs that differ in their seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnn3.plots.histories import (
    LABELS,
    METRICS,
    History,
    Limits,
    Metric,
    PrintedNumbers,
    SplitName,
    begun,
    draw,
    kept,
    mark_kept,
    spread,
)
from cnn3.plots.style import COLORS, INK, ORIGINAL, head, round_ticks, spread_labels, style_axes

TRAIN, VALIDATION = COLORS[1], COLORS[0]
SPLIT_COLORS: Mapping[SplitName, str] = {"train": TRAIN, "validation": VALIDATION}
SPLIT_LABELS: Mapping[SplitName, str] = {
    "train": "training (augmented images, measured while training)",
    "validation": "validation",
}
DASHES = (0, (6, 3))  # of what is printed elsewhere
TEXT = 0.055  # height of a line of text, as part of a panel's


def curves(
    histories: Sequence[History],
    title: str,
    subtitle: str = "",
    *,
    printed: PrintedNumbers | None = None,
    limits: Limits | None = None,
) -> Figure:
    """Return accuracy and loss of training and validation by epoch, in a panel each.

    The epoch whose weights are kept, the first of highest validation accuracy, is marked. Runs without an epoch are
    left out.

    Args:
        histories: of the runs; several are drawn as mean and standard deviation over the epochs that every run
            reached, each run faintly in full.
        title: of the figure.
        subtitle: what was trained, on what and how long.
        printed: what another study has of the curves, drawn as dashed lines.
        limits: of the values, from `histories.limits` where figures are to be compared.
    """
    runs = begun(histories)
    figure = Figure(figsize=(10.4, 3.9), layout="constrained")
    printed = printed or {}
    for axes, metric in zip(figure.subplots(1, 2), METRICS, strict=True):
        for split, color in SPLIT_COLORS.items():
            draw(axes, runs, split, metric, color=color, label=SPLIT_LABELS[split])
        epoch_axis(axes, runs)
        style_axes(axes, "Epoch", LABELS[metric])
        round_ticks(axes.yaxis)
        if limits and metric in limits:
            axes.set_ylim(limits[metric])
        if runs:
            mark_kept(axes, runs, metric, color=VALIDATION, label=_kept_label(runs))
        else:
            axes.text(0.5, 0.5, "no epoch ended", transform=axes.transAxes, ha="center", va="center", fontsize=11)
            axes.set_yticks([])
        _compare(axes, printed, metric)
    _legend(figure, printed)
    head(figure, title, f"{subtitle}{spread([runs])}")
    return figure


def epoch_axis(axes: Axes, histories: Sequence[History]) -> None:
    """Let the horizontal axis hold all epochs, which count from 1."""
    epochs = max(map(len, histories), default=1)
    margin = 0.5 if epochs == 1 else min(0.03 * (epochs - 1), 0.9)
    axes.set_xlim(1 - margin, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _kept_label(runs: Sequence[History]) -> str:
    """Return which epoch's weights are kept, and why."""
    if len(runs) > 1:
        return "kept epoch of each seed (highest validation accuracy)"
    epoch = kept(runs[0])
    of = runs[0][epoch]["validation"]
    return f"kept: epoch {epoch + 1} (highest validation accuracy, {of['accuracy']:.4f}), loss {of['loss']:.4f}"


def _compare(axes: Axes, printed: PrintedNumbers, metric: Metric) -> None:
    """Draw what is printed elsewhere: a dashed line with its number at the right, or a mark at its epoch."""
    levels = []
    for (split, about), (value, epoch) in printed.items():
        if about != metric:
            continue
        color, label = SPLIT_COLORS[split], f"_{ORIGINAL} {split}"
        if epoch is None:
            axes.axhline(value, linestyle=DASHES, linewidth=1.3, zorder=1.5, color=color, label=label)
            levels.append(value)
        else:
            mark_number(axes, epoch, value, color=color, label=label)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    levels.sort()
    places = spread_labels([(level - low) / (high - low) for level in levels], TEXT, 0, 1)
    for level, place in zip(levels, places, strict=True):
        axes.text(1.01, place, f"{level:.4f}", transform=axes.transAxes, va="center", fontsize=9, color=INK)


def mark_number(axes: Axes, epoch: float, value: float, *, color: str, label: str) -> None:
    """Mark a number that is printed elsewhere of an epoch."""
    style = {"markersize": 9, "markeredgewidth": 1.8, "markerfacecolor": "none", "zorder": 6, "clip_on": False}
    axes.plot([epoch], [value], "D", markeredgecolor=color, color=color, label=label, **style)
    right = axes.get_xlim()[1]
    axes.set_xlim(right=max(right, float(np.ceil(epoch * 1.01))))


def original_line() -> Line2D:
    """Return what a legend shows of a level that is printed elsewhere."""
    return Line2D([], [], linestyle=DASHES, color="0.4", linewidth=1.3, label=ORIGINAL)


def original_mark(what: str) -> Line2D:
    """Return what a legend shows of a number that is told elsewhere of an epoch."""
    style = {"marker": "D", "markerfacecolor": "none", "markersize": 7, "linestyle": "none"}
    return Line2D([], [], color="0.4", label=f"{ORIGINAL}: {what}", **style)


def _legend(figure: Figure, printed: PrintedNumbers) -> None:
    """Put one legend for both panels under the figure, clear of the curves."""
    handles, _ = figure.axes[0].get_legend_handles_labels()
    known = printed.values()
    handles += [original_line()] if any(of.epoch is None for of in known) else []
    handles += [original_mark(f"about {of.value:g} at epoch {of.epoch}") for of in known if of.epoch is not None]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
