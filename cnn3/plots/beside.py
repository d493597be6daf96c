"""Numbers measured beside numbers printed elsewhere."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnn3.plots.style import COLORS, frame


class Beside(NamedTuple):
    """A mean and its interval, and the number that it is set beside; None where there is none."""

    mean: float | None
    interval: tuple[float, float] | None
    printed: float | None


def beside(rows: Mapping[str, Beside], label: str, title: str) -> Figure:
    """Return a row of dots for each name: the measured mean with its interval, and the printed number."""
    figure = Figure(figsize=(7.2, 0.34 * len(rows) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    heights = range(len(rows), 0, -1)
    for height, row in zip(heights, rows.values(), strict=True):
        if row.mean is not None and row.printed is not None:
            axes.plot([row.mean, row.printed], [height, height], color="0.75", linewidth=1.5, zorder=1)
        if row.interval is not None:
            axes.plot(row.interval, [height, height], color=COLORS[0], linewidth=4, alpha=0.35, zorder=2)
    styles = {"printed": ("D", COLORS[1], "the report"), "mean": ("o", COLORS[0], "here")}
    for field, (marker, color, name) in styles.items():
        points = [(getattr(row, field), at) for row, at in zip(rows.values(), heights, strict=True)]
        there = [(value, at) for value, at in points if value is not None]
        if there:
            x, y = zip(*there, strict=True)
            axes.plot(x, y, marker, color=color, markersize=6.5, markeredgecolor="white", label=name, zorder=3)
    axes.set_yticks(list(heights), list(rows))
    axes.set_ylim(0.4, len(rows) + 0.6)
    frame(axes, label, "", title)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.grid(axis="y", visible=False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=10, frameon=False)
    return figure
