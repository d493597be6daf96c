"""How much each cause changes each quantity: a row for each cause, a marker for each quantity."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from matplotlib.figure import Figure

from cnn3.plots.style import COLORS, add_title, round_ticks, style_axes

MARKERS = "osD^v"
OFFSET = 0.22  # between the quantities of a row


def difference_plot(
    quantities: Mapping[str, Mapping[str, Sequence[float | None]]], unit: str, title: str, subtitle: str = ""
) -> Figure:
    """Return the mean difference of each quantity by cause, its standard deviation as a bar, each seed as a dot.

    Args:
        quantities: differences by quantity and cause, one for each seed, None if it has none.
        unit: of the numbers.
        title: of the figure.
        subtitle: what was trained, on what and how long.
    """
    causes = list(next(iter(quantities.values())))
    several = any(len(values) > 1 for by_cause in quantities.values() for values in by_cause.values())
    figure = Figure(figsize=(8.0, 1.4 + 0.62 * len(causes)), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, by_cause) in enumerate(quantities.items()):
        color, shift = COLORS[i % len(COLORS)], OFFSET * (i - (len(quantities) - 1) / 2)
        label: str | None = name
        for y, cause in enumerate(causes):
            values = [value for value in by_cause[cause] if value is not None]
            if not values:
                continue
            style = {"color": color, "markersize": 8, "markeredgecolor": "white", "capsize": 3}
            bar = stdev(values) if len(values) > 1 else None
            axes.errorbar(fmean(values), y + shift, xerr=bar, fmt=MARKERS[i % len(MARKERS)], label=label, **style)
            if len(values) > 1:
                axes.plot(values, [y + shift] * len(values), ".", color=color, alpha=0.4)
            label = None  # one entry in the legend
    axes.axvline(0, color="0.3", linewidth=1.2, zorder=1)
    axes.set_yticks(range(len(causes)), causes)
    axes.set_ylim(len(causes) - 0.4, -0.6)
    style_axes(axes, unit, "")
    round_ticks(axes.xaxis, 9)
    axes.grid(axis="y", visible=False)
    for y in range(1, len(causes)):
        axes.axhline(y - 0.5, color="0.9", linewidth=0.8, zorder=0)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1), fontsize=10, frameon=False)
    note = "Bars: standard deviation; small dots: each seed." if several else "One seed: the role of chance is unknown."
    add_title(figure, title, f"{subtitle} {note}".strip())
    return figure
