"""Curves of several configurations in one figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from cnn3.plots.curves import DASHES, epoch_axis, mark_number, original_line, original_mark
from cnn3.plots.histories import (
    LABELS,
    UNITS,
    History,
    Metric,
    Positions,
    PrintedNumbers,
    SplitName,
    begun,
    draw,
    elapsed,
    mark_kept,
    numbers,
    spread,
    time_unit,
)
from cnn3.plots.style import CLASS_COLORS, ORIGINAL, fitting, head, round_ticks, style_axes

Against = Literal["epochs", "time"]
HEADINGS: Mapping[SplitName, str] = {
    "validation": "Validation",
    "train": "Training (augmented images, measured while training)",
}
# A curve is seen through the gaps of the next, or beside it, so that curves which coincide do not hide each other.
LINES: tuple[LineStyleType, ...] = ("-", (0, (5, 1)), (0, (12, 0.5)), (0, (3, 2)), (0, (1, 1.5)))
WIDTHS = (2.0, 2.0, 2.8, 2.0, 1.5)
KEPT = "kept epoch (highest validation accuracy)"


def comparison(
    named: Mapping[str, Sequence[History]],
    metrics: Sequence[Metric],
    title: str,
    subtitle: str = "",
    *,
    against: Against = "epochs",
    printed: Mapping[str, PrintedNumbers] | None = None,
) -> Figure:
    """Return a panel for each split and metric, with a curve for each name; several histories as in `curves`.

    Args:
        named: histories by name.
        metrics: a column each.
        title: of the figure.
        subtitle: what was trained, on what and how long.
        against: the horizontal axis. Against time, a point stands where the epoch ended: at the sum of the seconds
            until then, the mean over the runs.
        printed: what another study has, by name: a level is drawn from where the curve ends to the right edge, a
            number of an epoch as a mark, against epochs only.
    """
    runs = {name: begun(histories) for name, histories in named.items()}
    drawn = [history for histories in runs.values() for history in histories]
    unit = time_unit(drawn) if against == "time" else None
    positions: Positions = (lambda history: elapsed(history) / UNITS[unit]) if unit else numbers
    figure = Figure(figsize=(5.2 * len(metrics), 6.4), layout="constrained")
    panels = figure.subplots(len(HEADINGS), len(metrics), sharex=True, sharey="col", squeeze=False)
    for row, (split, heading) in zip(panels, HEADINGS.items(), strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            _panel(axes, runs, split, metric, positions)
            style_axes(axes, f"Training time ({unit})" if unit else "Epoch", LABELS[metric])
            axes.set_title(heading, fontsize=11)
            if unit:
                axes.set_xlim(0, 1.03 * max((positions(history)[-1] for history in drawn), default=1))
                round_ticks(axes.xaxis, 8)
            else:
                epoch_axis(axes, drawn)
            round_ticks(axes.yaxis)
            axes.label_outer()
            axes.yaxis.set_tick_params(labelleft=True)
            axes.set_ylabel(LABELS[metric], fontsize=11)
    for row, split in zip(panels, HEADINGS, strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            _compare(axes, runs, printed or {}, split, metric, positions, epochs=unit is None)
    _legend(figure, panels[0, 0], list(panels.flat))
    head(figure, title, f"{subtitle}{spread(runs.values())}")
    return figure


def _panel(
    axes: Axes, runs: Mapping[str, Sequence[History]], split: SplitName, metric: Metric, positions: Positions
) -> None:
    """Draw the curves of one split and metric."""
    for i, (name, histories, color) in enumerate(zip(runs, runs.values(), cycle(CLASS_COLORS), strict=False)):
        label = name if histories else f"{name} (no epoch ended)"
        which = (i + i // len(CLASS_COLORS)) % len(LINES)  # another one where colours begin again
        style = {"linestyle": LINES[which], "linewidth": WIDTHS[which]}
        draw(axes, histories, split, metric, positions, color=color, label=label, **style)
        if split == "validation" and histories:
            mark_kept(axes, histories, metric, positions, color=color)


def _compare(
    axes: Axes,
    runs: Mapping[str, Sequence[History]],
    printed: Mapping[str, PrintedNumbers],
    split: SplitName,
    metric: Metric,
    positions: Positions,
    *,
    epochs: bool,
) -> None:
    """Draw what is printed elsewhere in the colour of the curve that it is to be compared with."""
    for (name, histories), color in zip(runs.items(), cycle(CLASS_COLORS), strict=False):
        number = printed.get(name, {}).get((split, metric))
        if number is None:
            continue
        label = f"_{ORIGINAL} {name}"
        if number.epoch is not None:
            if epochs:
                mark_number(axes, number.epoch, number.value, color=color, label=label)
            continue
        low, right = axes.get_xlim()
        start = max((positions(history)[-1] for history in histories), default=low)
        axes.plot([start, right], [number.value] * 2, linestyle=DASHES, linewidth=1.2, color=color, label=label)
        axes.set_xlim(low, right)
        tick = {"transform": axes.get_yaxis_transform(), "clip_on": False, "linewidth": 2.6}
        axes.plot([1.005, 1.035], [number.value] * 2, color=color, solid_capstyle="butt", **tick)


def _legend(figure: Figure, axes: Axes, panels: Sequence[Axes]) -> None:
    """Put the legend under the figure, clear of the curves."""
    handles, _ = axes.get_legend_handles_labels()
    if any(line.get_label() == "_kept" for line in axes.lines):
        style = {"markersize": 7, "markeredgecolor": "white", "linestyle": "none"}
        handles.append(Line2D([], [], marker="o", color="0.4", label=KEPT, **style))
    printed = [line for panel in panels for line in panel.lines if str(line.get_label()).startswith(f"_{ORIGINAL}")]
    marks = [line.get_marker() == "D" for line in printed]
    handles += [original_line()] if not all(marks) else []
    handles += [original_mark("at that epoch")] if any(marks) else []
    ncols = fitting([str(handle.get_label()) for handle in handles], figure.get_size_inches()[0], 4)
    style = {"fontsize": 10, "frameon": False, "handlelength": 2.8}
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, **style)
