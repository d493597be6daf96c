"""Curves of one run, or of one configuration's runs with several seeds."""

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
    ReportedNumbers,
    SplitName,
    draw_metric,
    kept_epoch,
    mark_kept,
    nonempty,
    seeds_note,
)
from cnn3.plots.style import COLORS, INK, ORIGINAL, add_title, round_ticks, spread_labels, style_axes

TRAIN, VALIDATION = COLORS[1], COLORS[0]
SPLIT_COLORS: Mapping[SplitName, str] = {"train": TRAIN, "validation": VALIDATION}
SPLIT_LABELS: Mapping[SplitName, str] = {
    "train": "training (augmented images, measured while training)",
    "validation": "validation",
}
DASHES = (0, (6, 3))  # of reported numbers
LINE_HEIGHT = 0.055  # of text, as a fraction of a panel's height


def curves(
    histories: Sequence[History],
    title: str,
    subtitle: str = "",
    *,
    reported: ReportedNumbers | None = None,
    limits: Limits | None = None,
) -> Figure:
    """Return accuracy and loss of training and validation by epoch, each in its own panel.

    The epoch whose weights are kept, the first with the highest validation accuracy, is marked. Runs without an epoch
    are left out.

    Args:
        histories: of the runs; several are drawn as their mean and standard deviation over the epochs that every run
            reached, and each faintly in full.
        title: of the figure.
        subtitle: what was trained, on what and how long.
        reported: numbers of the original study, drawn as dashed lines.
        limits: of the vertical axes, from `histories.limits` if several figures are to be compared.
    """
    runs = nonempty(histories)
    figure = Figure(figsize=(10.4, 3.9), layout="constrained")
    reported = reported or {}
    for axes, metric in zip(figure.subplots(1, 2), METRICS, strict=True):
        for split, color in SPLIT_COLORS.items():
            draw_metric(axes, runs, split, metric, color=color, label=SPLIT_LABELS[split])
        epoch_axis(axes, runs)
        style_axes(axes, "Epoch", LABELS[metric])
        round_ticks(axes.yaxis)
        if limits and metric in limits:
            axes.set_ylim(limits[metric])
        if runs:
            mark_kept(axes, runs, metric, color=VALIDATION, label=_kept_label(runs))
        else:
            axes.text(0.5, 0.5, "no epoch finished", transform=axes.transAxes, ha="center", va="center", fontsize=11)
            axes.set_yticks([])
        _draw_reported(axes, reported, metric)
    _legend(figure, reported)
    add_title(figure, title, f"{subtitle}{seeds_note([runs])}")
    return figure


def epoch_axis(axes: Axes, histories: Sequence[History]) -> None:
    """Fit the horizontal axis to all epochs, counted from 1."""
    epochs = max(map(len, histories), default=1)
    margin = 0.5 if epochs == 1 else min(0.03 * (epochs - 1), 0.9)
    axes.set_xlim(1 - margin, epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _kept_label(runs: Sequence[History]) -> str:
    """Return which epoch's weights are kept, and why."""
    if len(runs) > 1:
        return "kept epoch of each seed (highest validation accuracy)"
    epoch = kept_epoch(runs[0])
    best = runs[0][epoch]["validation"]
    return f"kept: epoch {epoch + 1} (highest validation accuracy, {best['accuracy']:.4f}), loss {best['loss']:.4f}"


def _draw_reported(axes: Axes, reported: ReportedNumbers, metric: Metric) -> None:
    """Draw reported numbers: a dashed line with the number at the right, or a mark at its epoch."""
    levels = []
    for (split, name), (value, epoch) in reported.items():
        if name != metric:
            continue
        color, label = SPLIT_COLORS[split], f"_{ORIGINAL} {split}"
        if epoch is None:
            axes.axhline(value, linestyle=DASHES, linewidth=1.3, zorder=1.5, color=color, label=label)
            levels.append(value)
        else:
            mark_reported(axes, epoch, value, color=color, label=label)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    levels.sort()
    heights = spread_labels([(level - low) / (high - low) for level in levels], LINE_HEIGHT, 0, 1)
    for level, height in zip(levels, heights, strict=True):
        axes.text(1.01, height, f"{level:.4f}", transform=axes.transAxes, va="center", fontsize=9, color=INK)


def mark_reported(axes: Axes, epoch: float, value: float, *, color: str, label: str) -> None:
    """Mark a reported number at its epoch."""
    style = {"markersize": 9, "markeredgewidth": 1.8, "markerfacecolor": "none", "zorder": 6, "clip_on": False}
    axes.plot([epoch], [value], "D", markeredgecolor=color, color=color, label=label, **style)
    right = axes.get_xlim()[1]
    axes.set_xlim(right=max(right, float(np.ceil(epoch * 1.01))))


def original_line() -> Line2D:
    """Return the legend's handle for a reported level."""
    return Line2D([], [], linestyle=DASHES, color="0.4", linewidth=1.3, label=ORIGINAL)


def original_mark(description: str) -> Line2D:
    """Return the legend's handle for a number reported at an epoch."""
    style = {"marker": "D", "markerfacecolor": "none", "markersize": 7, "linestyle": "none"}
    return Line2D([], [], color="0.4", label=f"{ORIGINAL}: {description}", **style)


def _legend(figure: Figure, reported: ReportedNumbers) -> None:
    """Put one legend for both panels below the figure, clear of the curves."""
    handles, _ = figure.axes[0].get_legend_handles_labels()
    numbers = reported.values()
    handles += [original_line()] if any(number.epoch is None for number in numbers) else []
    handles += [
        original_mark(f"about {number.value:.3g} at epoch {number.epoch}")
        for number in numbers
        if number.epoch is not None
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
