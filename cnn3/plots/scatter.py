"""Named points, such as the accuracy of networks by their cost."""

from collections.abc import Mapping
from itertools import cycle
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from cnn3.plots.style import CLASS_COLORS, COLORS, INK, add_title, round_ticks, spread_labels, style_axes

MARKERS = "osD^vPX"
GROUP_COLORS = (COLORS[6], *COLORS[:3], CLASS_COLORS[7], CLASS_COLORS[9], COLORS[3])  # at least 3:1 on white
LONGEST_OF_THREE = 28  # characters of a group's name, so that the legend has room for three in a row
LINE_HEIGHT = 0.062  # of text, as a fraction of the axes' height


class Point(NamedTuple):
    """A point to plot; `std` is the standard deviation of `y`, None for a single run."""

    x: float
    y: float
    std: float | None = None


def scatter(
    groups: Mapping[str, Mapping[str, Point]],
    x_label: str,
    y_label: str,
    title: str,
    subtitle: str = "",
    *,
    x_scale: Literal["linear", "log"] = "linear",
) -> Figure:
    """Return points by group and name; each group has its own colour and marker, which the legend explains.

    Names are written in the right margin, and a line leads from each to its point: many networks cost the same, and
    names next to the points would overlap.
    """
    figure = Figure(figsize=(8.4, 5.0), layout="constrained")
    axes = figure.add_subplot()
    all_points, handles = [], []
    for (group, points), color, marker in zip(groups.items(), cycle(GROUP_COLORS), cycle(MARKERS), strict=False):
        style = {"color": color, "marker": marker, "markeredgecolor": "white", "markersize": 9, "linestyle": "none"}
        for name, point in points.items():
            axes.errorbar(point.x, point.y, point.std, color=color, capsize=3, linewidth=1)
            axes.plot([point.x], [point.y], label=name, zorder=3, **style)
            all_points.append((name, point))
        if points:
            handles.append(Line2D([], [], label=group, **style))
    axes.set_xscale(x_scale)
    if x_scale == "log":
        low, high = axes.get_xlim()
        less_than_a_decade = high < 10 * low  # has too few of the powers of ten and their multiples
        axes.xaxis.set_major_locator(MaxNLocator(6) if less_than_a_decade else LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        round_ticks(axes.xaxis)
    round_ticks(axes.yaxis)
    _write_names(axes, all_points)
    style_axes(axes, x_label, y_label)
    if handles:
        columns = 3 if max(map(len, groups)) <= LONGEST_OF_THREE else 2
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=10, frameon=False)
    add_title(figure, title, subtitle)
    return figure


def _write_names(axes: Axes, points: list[tuple[str, Point]]) -> None:
    """Write the names in the right margin, each as near to the height of its point as the others allow."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    ranked = sorted(points, key=lambda item: (item[1].y, item[1].x))
    heights = spread_labels([(point.y - low) / (high - low) for _, point in ranked], LINE_HEIGHT, 0, 1)
    line = {"arrowstyle": "-", "linewidth": 0.8, "color": "0.55", "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 5}
    style = {"color": INK, "fontsize": 10, "va": "center", "arrowprops": line, "textcoords": "axes fraction"}
    for (name, point), height in zip(ranked, heights, strict=True):
        axes.annotate(name, (point.x, point.y), (1.06, height), **style)
