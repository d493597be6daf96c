"""Maps of the latent space in the plane, and how well its classes separate as training proceeds."""

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator
from PIL import Image

from cnn3.plots.label_placement import repel
from cnn3.plots.style import CLASS_COLORS, COLORS, add_title, balanced_columns, round_ticks, style_axes

Embedding = Float[np.ndarray, "n 2"]

WIDTH = 12.0  # inches, of a row of maps; three maps of 10,000 dots then make a file of less than 300 kB
FONT_SIZE = 9.0  # points, of a class's name
KEPT_LABEL = "kept epoch (highest validation accuracy)"
NAMES_NOTE = "A class's name stands at the median of its points, moved where names would overlap."
TWEENS = 4  # frames between two maps
HOLD_MS, TWEEN_MS = 1200, 60  # milliseconds that a frame is shown
ANIMATION_INCHES, ANIMATION_DPI = 4.0, 100
MAX_ANIMATED_POINTS, MAX_ANIMATED_COLORS = 1000, 32  # keep the GIF small


def latent_maps(
    maps: Mapping[str, Embedding],
    labels: Int[np.ndarray, " images"],
    classes: Sequence[str],
    title: str,
    subtitle: str = "",
    max_columns: int = 3,
) -> Figure:
    """Return maps side by side, by heading, in rows of at most `max_columns`.

    A map may show only the first images: the labels of the others are not used. Each class's name is written at the
    median of its points, moved only where names would overlap; a line then leads to the median.
    """
    n_columns = balanced_columns(len(maps), max_columns)
    n_rows = math.ceil(len(maps) / n_columns)
    inches = WIDTH / max(n_columns, 2)
    ratio = min(max((float(np.divide(*np.ptp(points, 0)[::-1])) for points in maps.values()), default=1.0), 1.2)
    figure = Figure(figsize=(inches * n_columns, (inches * ratio + 0.3) * n_rows + 0.35), layout="constrained")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, (heading, points) in zip(panels, maps.items(), strict=False):
        shown = labels[: len(points)]
        _draw(axes, points, shown, heading, size=_dot_area(len(points), inches / 2))
        _set_limits(axes, points, ratio)
        _write_names(axes, points, shown, classes, inches)
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    _legend(figure, classes, ncols=min(len(classes), 3 * n_columns + 1))
    add_title(figure, title, f"{subtitle} {NAMES_NOTE}".strip())
    return figure


def separability_curves(
    epochs: Sequence[float],
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "seeds stages"]]],
    best: int | None,
    title: str,
    subtitle: str = "",
) -> Figure:
    """Return curves of class separability against the epochs trained, a panel for each heading.

    Args:
        epochs: trained before each stage.
        panels: scores by heading and name; NaN where a seed lacks the stage. Several seeds are drawn as their mean
            and standard deviation.
        best: index of the stage whose weights are kept, which is marked; None marks none.
        title: of the figure.
        subtitle: what was trained, on what and how long.
    """
    figure = Figure(figsize=(5.2 * len(panels), 3.9), layout="constrained")
    order = np.argsort(epochs, kind="stable")
    x = np.asarray(epochs, float)[order]
    colors, seeds = iter(COLORS), 1
    for axes, (heading, lines) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        for name, values in lines.items():
            color, mean, seeds = next(colors), np.nanmean(values, 0), len(values)
            axes.plot(x, mean[order], ".-", color=color, linewidth=1.8, markersize=9, label=name)
            if seeds > 1:
                axes.errorbar(x, mean[order], _std(values)[order], fmt="none", color=color, alpha=0.5, capsize=3)
        if best is not None:
            axes.axvline(epochs[best], color="0.4", linestyle="--", linewidth=1.2, zorder=1, label=KEPT_LABEL)
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.xaxis.set_major_locator(FixedLocator(_tick_epochs(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.2, 1.25 * max(x.max(initial=1), 1))
        axes.xaxis.set_major_formatter("{x:.0f}")
        round_ticks(axes.yaxis)
        style_axes(axes, "Epochs trained (logarithmic from 1 on; 0 is before training)", heading)
    handles = {str(line.get_label()): line for axes in figure.axes for line in axes.get_legend_handles_labels()[0]}
    handles |= {KEPT_LABEL: handles.pop(KEPT_LABEL)} if KEPT_LABEL in handles else {}  # put it last
    figure.legend(handles=handles.values(), loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    note = f" Mean ± standard deviation of {seeds} seeds." if seeds > 1 else ""
    add_title(figure, title, f"{subtitle}{note}")
    return figure


def latent_animation(
    maps: Mapping[str, Embedding],
    labels: Int[np.ndarray, " images"],
    classes: Sequence[str],
    title: str,
    subtitle: str = "",
) -> bytes:
    """Return an animated GIF, in a loop, in which points move straight from each map to the next.

    All maps are drawn at one size; each is held for a while, with its heading. The first `MAX_ANIMATED_POINTS`
    points are shown.
    """
    stages = {heading: _centre(points)[:MAX_ANIMATED_POINTS] for heading, points in maps.items()}
    ratio = max(float(np.abs(points[:, 1]).max()) for points in stages.values())
    figure = Figure(figsize=(ANIMATION_INCHES, ANIMATION_INCHES * ratio + 0.9), dpi=ANIMATION_DPI, layout="constrained")
    axes = figure.add_subplot()
    headings, positions = list(stages), list(stages.values())
    dots = _draw(axes, positions[0], labels[: len(positions[0])], headings[0], size=5, smooth=False)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05 * ratio, 1.05 * ratio))
    _legend(figure, classes, ncols=5)
    add_title(figure, title, subtitle)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # so that the panel stays in place whatever its heading

    def draw_frame(heading: str, points: Embedding) -> Image.Image:
        axes.set_title(heading, fontsize=12)
        dots.set_offsets(points)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    frames, milliseconds = [draw_frame(headings[0], positions[0])], [HOLD_MS]
    for before, after, heading in zip(positions, positions[1:], headings[1:], strict=False):
        for t in np.linspace(0, 1, TWEENS + 2)[1:]:
            eased = t * t * (3 - 2 * t)
            frames.append(draw_frame(heading, (1 - eased) * before + eased * after))
            milliseconds.append(HOLD_MS if t == 1 else TWEEN_MS)
    palette = frames[0].quantize(
        MAX_ANIMATED_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )  # each frame has all colours
    reduced = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames]
    buffer = io.BytesIO()
    reduced[0].save(
        buffer, "gif", save_all=True, append_images=reduced[1:], duration=milliseconds, loop=0, optimize=True
    )
    return buffer.getvalue()


def _draw(
    axes: Axes, points: Embedding, labels: Int[np.ndarray, " n"], title: str, *, size: float, smooth: bool = True
) -> PathCollection:
    """Draw the points, of `size` square points each, in the order of the data set, so that no class hides another."""
    colors = np.array(CLASS_COLORS)[labels]
    dots = axes.scatter(*points.T, s=size, c=colors, linewidths=0, antialiaseds=smooth)
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])  # t-SNE's units have no meaning
    axes.set_aspect("equal", adjustable="box")
    axes.spines[:].set_color("0.8")
    return dots


def _set_limits(axes: Axes, points: Embedding, ratio: float) -> None:
    """Set limits that just contain all points, with a height of `ratio` times the width."""
    low, high = points.min(0), points.max(0)
    width = 1.06 * max(high[0] - low[0], (high[1] - low[1]) / ratio)
    half = np.array([width, ratio * width]) / 2
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _write_names(
    axes: Axes, points: Embedding, labels: Int[np.ndarray, " n"], classes: Sequence[str], inches: float
) -> None:
    """Write each class's name at the median of its points, or as near as possible, in a panel `inches` wide."""
    present: list[int] = np.unique(labels).tolist()
    medians = np.array([np.median(points[labels == label], 0) for label in present])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    unit = (right - left) / (72 * 0.95 * inches)  # a point
    sizes = unit * np.array([(0.66 * FONT_SIZE * len(classes[label]) + 5, 1.35 * FONT_SIZE) for label in present])
    positions = repel(medians, sizes, np.array([left, bottom]), np.array([right, top]))
    for label, median, position, (_, height) in zip(present, medians, positions, sizes, strict=True):
        if np.linalg.norm(position - median) > height:
            x, y = zip(position, median, strict=True)
            (line,) = axes.plot(x, y, color="0.1", linewidth=0.9, marker=".", markevery=[1])
            line.set_path_effects([withStroke(linewidth=2.4, foreground="white")])
        style = {"ha": "center", "va": "center", "fontsize": FONT_SIZE, "weight": "bold", "zorder": 6}
        name = axes.text(position[0], position[1], classes[label], **style)
        name.set_path_effects([withStroke(linewidth=2.6, foreground="white")])


def _dot_area(count: int, inches: float) -> float:
    """Return the area of a dot, in square points, that keeps `count` dots apart in a map `inches` wide."""
    return min(25.0, max(2.0, 3_000 * inches / count))


def _legend(figure: Figure, classes: Sequence[str], *, ncols: int) -> None:
    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=7, color=color, label=name)
        for name, color in zip(classes, CLASS_COLORS, strict=False)
    ]
    style = {"fontsize": 10, "frameon": False, "columnspacing": 1, "handletextpad": 0.1}
    figure.legend(handles=dots, loc="outside lower center", ncols=ncols, **style)


def _centre(points: Embedding) -> Embedding:
    """Return the points moved and scaled into [-1, 1], about the middle of their bounds."""
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / (max(high - low) / 2)


def _std(values: Float[np.ndarray, "seeds stages"]) -> Float[np.ndarray, " stages"]:
    """Return the sample standard deviation over seeds, 0 where fewer than two have the stage."""
    return np.array([np.nanstd(column, ddof=1) if np.isfinite(column).sum() > 1 else 0.0 for column in values.T])


def _tick_epochs(epochs: Float[np.ndarray, " stages"]) -> list[float]:
    """Return the last of the epochs and the earlier ones whose tick labels do not touch."""
    ticks: list[float] = []
    for epoch in sorted(set(epochs.tolist()), reverse=True):
        if not ticks or epoch * 1.4 <= ticks[-1]:
            ticks.append(epoch)
    return ticks
