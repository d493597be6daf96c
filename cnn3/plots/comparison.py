"""Curves of several configurations in one figure."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from cnn3.plots.curves import DASHES, epoch_axis, mark_reported, original_line, original_mark
from cnn3.plots.histories import (
    LABELS,
    TIME_UNITS,
    History,
    Metric,
    Positions,
    ReportedNumbers,
    SplitName,
    draw_metric,
    elapsed,
    epoch_numbers,
    mark_kept,
    nonempty,
    seeds_note,
    time_unit,
)
from cnn3.plots.style import CLASS_COLORS, ORIGINAL, add_title, legend_columns, round_ticks, style_axes

XAxis = Literal["epochs", "time"]
HEADINGS: Mapping[SplitName, str] = {
    "validation": "Validation",
    "train": "Training (augmented images, measured while training)",
}
# A curve shows through the gaps of the next one, or next to it, so that curves that coincide do not hide each other.
LINES: tuple[LineStyleType, ...] = ("-", (0, (5, 1)), (0, (12, 0.5)), (0, (3, 2)), (0, (1, 1.5)))
WIDTHS = (2.0, 2.0, 2.8, 2.0, 1.5)
LEGEND_ROWS, LEGEND_ROW = 3, 0.21  # rows that fit below the panels, and the inches that each further one takes
KEPT_LABEL = "kept epoch (highest validation accuracy)"


def comparison(
    histories: Mapping[str, Sequence[History]],
    metrics: Sequence[Metric],
    title: str,
    subtitle: str = "",
    *,
    x_axis: XAxis = "epochs",
    reported: Mapping[str, ReportedNumbers] | None = None,
) -> Figure:
    """Return a panel for each split and metric, with a curve for each name; several seeds are drawn as in `curves`.

    Args:
        histories: of each name's runs.
        metrics: one column of panels each.
        title: of the figure.
        subtitle: what was trained, on what and how long.
        x_axis: "time" puts each epoch at its end, as the time since the start of training, averaged over the runs.
        reported: numbers of the original study, by name: a level is drawn from the end of the curve to the right
            edge, a number at an epoch as a mark, against epochs only.
    """
    runs = {name: nonempty(group) for name, group in histories.items()}
    all_runs = [history for group in runs.values() for history in group]
    unit = time_unit(all_runs) if x_axis == "time" else None
    positions: Positions = (lambda history: elapsed(history) / TIME_UNITS[unit]) if unit else epoch_numbers
    figure = Figure(figsize=(5.2 * len(metrics), 6.4), layout="constrained")
    panels = figure.subplots(len(HEADINGS), len(metrics), sharex=True, sharey="col", squeeze=False)
    for row, (split, heading) in zip(panels, HEADINGS.items(), strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            _panel(axes, runs, split, metric, positions)
            style_axes(axes, f"Training time ({unit})" if unit else "Epoch", LABELS[metric])
            axes.set_title(heading, fontsize=11)
            if unit:
                axes.set_xlim(0, 1.03 * max((positions(history)[-1] for history in all_runs), default=1))
                round_ticks(axes.xaxis, 8)
            else:
                epoch_axis(axes, all_runs)
            round_ticks(axes.yaxis)
            axes.label_outer()
            axes.yaxis.set_tick_params(labelleft=True)
            axes.set_ylabel(LABELS[metric], fontsize=11)
    for row, split in zip(panels, HEADINGS, strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            _draw_reported(axes, runs, reported or {}, split, metric, positions, epochs=unit is None)
    _legend(figure, panels[0, 0], list(panels.flat))
    add_title(figure, title, f"{subtitle}{seeds_note(runs.values())}")
    return figure


def _panel(
    axes: Axes, runs: Mapping[str, Sequence[History]], split: SplitName, metric: Metric, positions: Positions
) -> None:
    """Draw the curves of one split and metric."""
    for i, (name, histories, color) in enumerate(zip(runs, runs.values(), cycle(CLASS_COLORS), strict=False)):
        label = name if histories else f"{name} (no epoch finished)"
        line = (i + i // len(CLASS_COLORS)) % len(LINES)  # another style when the colours start over
        style = {"linestyle": LINES[line], "linewidth": WIDTHS[line]}
        draw_metric(axes, histories, split, metric, positions, color=color, label=label, **style)
        if split == "validation" and histories:
            mark_kept(axes, histories, metric, positions, color=color)


def _draw_reported(
    axes: Axes,
    runs: Mapping[str, Sequence[History]],
    reported: Mapping[str, ReportedNumbers],
    split: SplitName,
    metric: Metric,
    positions: Positions,
    *,
    epochs: bool,
) -> None:
    """Draw reported numbers in the colours of the curves that they are compared with."""
    for (name, histories), color in zip(runs.items(), cycle(CLASS_COLORS), strict=False):
        number = reported.get(name, {}).get((split, metric))
        if number is None:
            continue
        label = f"_{ORIGINAL} {name}"
        if number.epoch is not None:
            if epochs:
                mark_reported(axes, number.epoch, number.value, color=color, label=label)
            continue
        low, right = axes.get_xlim()
        start = max((positions(history)[-1] for history in histories), default=low)
        axes.plot([start, right], [number.value] * 2, linestyle=DASHES, linewidth=1.2, color=color, label=label)
        axes.set_xlim(low, right)
        tick = {"transform": axes.get_yaxis_transform(), "clip_on": False, "linewidth": 2.6}
        axes.plot([1.005, 1.035], [number.value] * 2, color=color, solid_capstyle="butt", **tick)


def _legend(figure: Figure, axes: Axes, panels: Sequence[Axes]) -> None:
    """Put the legend below the figure, clear of the curves."""
    handles, _ = axes.get_legend_handles_labels()
    if any(line.get_label() == "_kept" for line in axes.lines):
        style = {"markersize": 7, "markeredgecolor": "white", "linestyle": "none"}
        handles.append(Line2D([], [], marker="o", color="0.4", label=KEPT_LABEL, **style))
    reported = [line for panel in panels for line in panel.lines if str(line.get_label()).startswith(f"_{ORIGINAL}")]
    marks = [line.get_marker() == "D" for line in reported]
    handles += [original_line()] if not all(marks) else []
    handles += [original_mark("at that epoch")] if any(marks) else []
    width, height = figure.get_size_inches()
    ncols = legend_columns([str(handle.get_label()) for handle in handles], width, 4)
    figure.set_size_inches(width, height + LEGEND_ROW * max(0, math.ceil(len(handles) / ncols) - LEGEND_ROWS))
    style = {"fontsize": 10, "frameon": False, "handlelength": 2.8}
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=ncols, **style)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may have dollar signs
