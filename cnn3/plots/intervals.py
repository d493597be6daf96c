"""Numbers measured beside numbers printed elsewhere."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnn3.plots.style import COLORS, INK, ORIGINAL, head, round_ticks, style_axes

HERE, THERE = COLORS[0], COLORS[1]
ROW = 0.3  # inches


class Interval(NamedTuple):
    """A mean and its interval, and the number that it is set beside; None where there is none."""

    mean: float | None
    interval: tuple[float, float] | None
    printed: float | None

    @property
    def points(self) -> float | None:
        """How many percentage points the mean lies above the printed number."""
        return None if self.mean is None or self.printed is None else 100 * (self.mean - self.printed)

    @property
    def within(self) -> bool:
        """Whether the printed number lies within the interval."""
        return bool(self.interval and self.printed and self.interval[0] <= self.printed <= self.interval[1])


def dot_interval(groups: Mapping[str, Mapping[str, Interval]], label: str, title: str, subtitle: str = "") -> Figure:
    """Return a row for each name, in a panel for each group: the measured mean, its interval, and the printed number.

    At the right stands the difference in percentage points. The mark of a printed number is full where it lies within
    the interval, and hollow where it does not or there is none.
    """
    counts = [len(rows) for rows in groups.values()]
    figure = Figure(figsize=(8.0, ROW * sum(counts) + 0.55 * len(groups) + 0.9), layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=[n + 0.2 for n in counts])
    for axes, (heading, rows) in zip(panels[:, 0], groups.items(), strict=True):
        _panel(axes, list(rows.values()))
        axes.set_yticks(range(len(rows), 0, -1), list(rows))
        axes.set_ylim(0.4, len(rows) + 0.6)
        style_axes(axes, label if axes is panels[-1, 0] else "", "")
        axes.set_title(heading, fontsize=11, loc="left")
        axes.grid(axis="y", visible=False)
    round_ticks(panels[-1, 0].xaxis, 8)
    known = [row for rows in groups.values() for row in rows.values()]
    handles = _handles(known)
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
    head(figure, title, subtitle)
    return figure


def _panel(axes: Axes, rows: Sequence[Interval]) -> None:
    """Draw the rows from above."""
    for height, row in zip(range(len(rows), 0, -1), rows, strict=True):
        if row.mean is not None and row.printed is not None:
            axes.plot([row.mean, row.printed], [height, height], color="0.75", linewidth=1.5, zorder=1)
            at = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9.5, "color": INK}
            axes.text(1.015, height, f"{row.points:+.1f}", **at)
        if row.interval is not None:
            axes.plot(row.interval, [height, height], color=HERE, linewidth=4, alpha=0.35, zorder=2)
        if row.printed is not None:
            fill = THERE if row.within else "white"
            style = {"markersize": 6.5, "markeredgecolor": THERE, "markerfacecolor": fill, "markeredgewidth": 1.5}
            axes.plot([row.printed], [height], "D", zorder=3, label="_printed", **style)
        if row.mean is not None:
            axes.plot(
                [row.mean], [height], "o", markersize=6.5, color=HERE, markeredgecolor="white", zorder=4, label="_mean"
            )


def _handles(rows: Sequence[Interval]) -> list[Line2D]:
    """Return what the legend explains, only of what is drawn."""
    dot = {"linestyle": "none", "markersize": 6.5}
    handles = []
    if any(row.mean is not None for row in rows):
        handles.append(Line2D([], [], marker="o", color=HERE, label="here", **dot))
    if any(row.interval for row in rows):
        handles.append(Line2D([], [], color=HERE, linewidth=4, alpha=0.35, label="confidence interval of the mean"))
    edge = {"marker": "D", "markeredgecolor": THERE, "markeredgewidth": 1.5, **dot}
    printed = [row for row in rows if row.printed is not None]
    if any(row.within for row in printed):
        handles.append(Line2D([], [], markerfacecolor=THERE, label=f"{ORIGINAL}, within the interval", **edge))
    if any(row.interval and not row.within for row in printed):
        handles.append(Line2D([], [], markerfacecolor="white", label=f"{ORIGINAL}, outside the interval", **edge))
    elif any(not row.within for row in printed):
        handles.append(Line2D([], [], markerfacecolor="white", label=f"{ORIGINAL} (one seed: no interval)", **edge))
    if any(row.points is not None for row in rows):
        handles.append(Line2D([], [], linestyle="none", label="at the right: here minus original study, in points"))
    return handles
