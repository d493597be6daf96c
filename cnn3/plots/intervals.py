"""Means with their confidence intervals, compared with numbers of the original study."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnn3.plots.style import COLORS, INK, ORIGINAL, add_title, round_ticks, style_axes

MEASURED, REPORTED = COLORS[0], COLORS[1]
UNCOMPARED = "0.6"
ROW_HEIGHT = 0.3  # inches


class Interval(NamedTuple):
    """A mean, its confidence interval, and the reported number to compare it with; None if missing."""

    mean: float | None
    interval: tuple[float, float] | None
    reported: float | None

    @property
    def points(self) -> float | None:
        """How many percentage points the mean lies above the reported number."""
        return None if self.mean is None or self.reported is None else 100 * (self.mean - self.reported)

    @property
    def within(self) -> bool:
        """Whether the reported number lies within the interval."""
        return bool(self.interval and self.reported and self.interval[0] <= self.reported <= self.interval[1])


def dot_interval(groups: Mapping[str, Mapping[str, Interval]], label: str, title: str, subtitle: str = "") -> Figure:
    """Return a panel for each group and a row for each name: the measured mean, its interval, and the reported number.

    The difference in percentage points is written at the right. The mark of a reported number is filled if it lies
    within the interval, hollow if it does not or if there is no interval, and grey if there is no mean.
    """
    counts = [len(rows) for rows in groups.values()]
    figure = Figure(figsize=(8.0, ROW_HEIGHT * sum(counts) + 0.55 * len(groups) + 0.9), layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=[n + 0.2 for n in counts])
    for axes, (heading, rows) in zip(panels[:, 0], groups.items(), strict=True):
        _panel(axes, list(rows.values()))
        axes.set_yticks(range(len(rows), 0, -1), list(rows))
        axes.set_ylim(0.4, len(rows) + 0.6)
        style_axes(axes, label if axes is panels[-1, 0] else "", "")
        axes.set_title(heading, fontsize=11, loc="left")
        axes.grid(axis="y", visible=False)
    round_ticks(panels[-1, 0].xaxis, 8)
    handles = _handles([row for rows in groups.values() for row in rows.values()])
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
    add_title(figure, title, subtitle)
    return figure


def _panel(axes: Axes, rows: Sequence[Interval]) -> None:
    """Draw the rows from top to bottom."""
    for height, row in zip(range(len(rows), 0, -1), rows, strict=True):
        if row.mean is not None and row.reported is not None:
            axes.plot([row.mean, row.reported], [height, height], color="0.75", linewidth=1.5, zorder=1)
            style = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9.5, "color": INK}
            axes.text(1.015, height, f"{row.points:+.1f}", **style)
        if row.interval is not None:
            axes.plot(row.interval, [height, height], color=MEASURED, linewidth=4, alpha=0.35, zorder=2)
        if row.reported is not None:
            fill = REPORTED if row.within else "white"
            edge = UNCOMPARED if row.mean is None else REPORTED
            style = {"markersize": 6.5, "markeredgecolor": edge, "markerfacecolor": fill, "markeredgewidth": 1.5}
            axes.plot([row.reported], [height], "D", zorder=3, label="_reported", **style)
        if row.mean is not None:
            axes.plot(
                [row.mean],
                [height],
                "o",
                markersize=6.5,
                color=MEASURED,
                markeredgecolor="white",
                zorder=4,
                label="_mean",
            )


def _handles(rows: Sequence[Interval]) -> list[Line2D]:
    """Return the legend's handles, for what is drawn only."""
    dot = {"linestyle": "none", "markersize": 6.5}
    handles = []
    if any(row.mean is not None for row in rows):
        handles.append(Line2D([], [], marker="o", color=MEASURED, label="here", **dot))
    if any(row.interval for row in rows):
        handles.append(Line2D([], [], color=MEASURED, linewidth=4, alpha=0.35, label="confidence interval of the mean"))
    edge = {"marker": "D", "markeredgewidth": 1.5, **dot}
    compared = [row for row in rows if row.points is not None]
    if any(row.within for row in compared):
        style = {"markerfacecolor": REPORTED, "markeredgecolor": REPORTED, **edge}
        handles.append(Line2D([], [], label=f"{ORIGINAL}, within the interval", **style))
    hollow = {bool(row.interval) for row in compared if not row.within}
    if hollow:
        style = {"markerfacecolor": "white", "markeredgecolor": REPORTED, **edge}
        outside = ", outside the interval" + (" or without one" if False in hollow else "")
        where = outside if True in hollow else " (one seed: no interval)"
        handles.append(Line2D([], [], label=f"{ORIGINAL}{where}", **style))
    if any(row.mean is None and row.reported is not None for row in rows):
        style = {"markerfacecolor": "white", "markeredgecolor": UNCOMPARED, **edge}
        handles.append(Line2D([], [], label=f"{ORIGINAL}, not compared", **style))
    if any(row.points is not None for row in rows):
        handles.append(Line2D([], [], linestyle="none", label="at the right: here minus original study, in points"))
    return handles
