"""Points that carry names: what a network gains for what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from cnn3.plots.style import COLORS, frame

MARKERS = "osD^vPX"
LINE = 0.062  # height of a line of text, as part of the plot's


class Point(NamedTuple):
    """A named place in a plot; `std` is the standard deviation of `y`, None of a single run."""

    x: float
    y: float
    std: float | None = None


def scatter(
    groups: Iterable[Mapping[str, Point]],
    x_label: str,
    y_label: str,
    title: str,
    x_scale: Literal["linear", "log"] = "linear",
) -> Figure:
    """Return points by name; each group has a colour and a marker of its own.

    A line leads from a name in the margin to its point: many networks cost the same, and names beside them would lie
    upon each other.
    """
    figure = Figure(figsize=(8.4, 5.0), layout="constrained")
    axes = figure.add_subplot()
    named = []
    for points, color, marker in zip(groups, cycle(COLORS), cycle(MARKERS), strict=False):
        for name, point in points.items():
            axes.errorbar(point.x, point.y, point.std, color=color, capsize=3, linewidth=1)
            style = {"color": color, "markeredgecolor": "white", "markersize": 9, "zorder": 3}
            axes.plot([point.x], [point.y], marker, label=name, **style)
            named.append((name, point, color))
    axes.set_xscale(x_scale)
    if x_scale == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    _name(axes, named)
    frame(axes, x_label, y_label, title)
    return figure


def _name(axes: Axes, named: list[tuple[str, Point, str]]) -> None:
    """Write the names in the right margin, each as near to the height of its point as the others leave it."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    ranked = sorted(named, key=lambda of: (of[1].y, of[1].x))
    heights = apart([(point.y - low) / (high - low) for _, point, _ in ranked])
    line = {"arrowstyle": "-", "linewidth": 0.8, "alpha": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 5}
    for (name, point, color), height in zip(ranked, heights, strict=True):
        arrow = line | {"color": color}
        style = {"color": color, "fontsize": 10, "va": "center", "arrowprops": arrow}
        axes.annotate(name, (point.x, point.y), (1.06, height), textcoords="axes fraction", **style)


def apart(heights: Sequence[float]) -> list[float]:
    """Return rising heights in [0, 1] moved so far that no two are closer than a line of text."""
    gap = min(LINE, 1 / max(len(heights), 1))
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    ceiling = 1.0
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved
