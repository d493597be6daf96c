"""Maps of the latent space to the plane, and how far its classes lie apart as training goes on."""

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

from cnn3.plots.labels import repelled
from cnn3.plots.style import CLASS_COLORS, COLORS, columns, head, round_ticks, style_axes

Map = Float[np.ndarray, "n 2"]
Labels = Int[np.ndarray, " n"]

WIDTH = 12.0  # inches, of a row of maps; three of 10,000 dots are then a file of less than 300 kB
LETTERS = 9.0  # points, of a class's name
KEPT = "kept epoch (highest validation accuracy)"
NAMED = "A class's name stands at the median of its points, moved where names would overlap."
TWEENS, STILL, MOVING = 4, 1200, 60  # frames from one stage to the next, and milliseconds that frames are shown
ANIMATION_INCHES, ANIMATION_DPI = 4.0, 100
ANIMATED, PALETTE = 1000, 32  # points and colours: a GIF has to be small


def latent_maps(
    maps: Mapping[str, Map], labels: Labels, classes: Sequence[str], title: str, subtitle: str = "", most: int = 3
) -> Figure:
    """Return maps side by side, by their headings, in rows of at most so many; labels may be of more points.

    Each class has its name at the median of its points, moved only as far as names would lie upon each other; a line
    then leads there.
    """
    wide = columns(len(maps), most)
    rows = math.ceil(len(maps) / wide)
    inches = WIDTH / max(wide, 2)
    ratio = min(max((float(np.divide(*np.ptp(points, 0)[::-1])) for points in maps.values()), default=1.0), 1.2)
    figure = Figure(figsize=(inches * wide, (inches * ratio + 0.3) * rows + 0.35), layout="constrained")
    panels = list(figure.subplots(rows, wide, squeeze=False).flat)
    for axes, (heading, points) in zip(panels, maps.items(), strict=False):
        own = labels[: len(points)]
        _draw(axes, points, own, heading, size=_dot(len(points), inches / 2))
        _fit(axes, points, ratio)
        _name(axes, points, own, classes, inches)
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    _legend(figure, classes, ncols=min(len(classes), 3 * wide + 1))
    head(figure, title, f"{subtitle} {NAMED}".strip())
    return figure


def separability(
    epochs: Sequence[float],
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "seeds stages"]]],
    best: int | None,
    title: str,
    subtitle: str = "",
) -> Figure:
    """Return curves of class separability against the epochs trained, a panel for each heading.

    Args:
        epochs: trained before each stage.
        panels: values by heading and name; not a number where a seed has no such stage. Several seeds are drawn as
            mean and standard deviation.
        best: which stage is that of the epoch whose weights are kept, which is marked.
        title: of the figure.
        subtitle: what was trained, on what and how long.
    """
    figure = Figure(figsize=(5.2 * len(panels), 3.9), layout="constrained")
    order = np.argsort(epochs, kind="stable")
    x = np.asarray(epochs)[order]
    colors, seeds = iter(COLORS), 1
    for axes, (heading, lines) in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels.items(), strict=True):
        for name, values in lines.items():
            color, mean, seeds = next(colors), np.nanmean(values, 0), len(values)
            axes.plot(x, mean[order], ".-", color=color, linewidth=1.8, markersize=9, label=name)
            if seeds > 1:
                axes.errorbar(x, mean[order], _spread(values)[order], fmt="none", color=color, alpha=0.5, capsize=3)
        if best is not None:
            axes.axvline(epochs[best], color="0.4", linestyle="--", linewidth=1.2, zorder=1, label=KEPT)
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.xaxis.set_major_locator(FixedLocator(_apart(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.2, 1.25 * max(x.max(initial=1), 1))
        axes.xaxis.set_major_formatter("{x:.0f}")
        round_ticks(axes.yaxis)
        style_axes(axes, "Epochs trained (logarithmic from 1 on; 0 is before training)", heading)
    handles = {str(of.get_label()): of for axes in figure.axes for of in axes.get_legend_handles_labels()[0]}
    handles |= {KEPT: handles.pop(KEPT)} if KEPT in handles else {}  # the last
    figure.legend(handles=handles.values(), loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    several = f" Mean ± standard deviation of {seeds} seeds." if seeds > 1 else ""
    head(figure, title, f"{subtitle}{several}")
    return figure


def animation(maps: Mapping[str, Map], labels: Labels, classes: Sequence[str], title: str, subtitle: str = "") -> bytes:
    """Return an animated GIF in which points go straight from each map to the next, all maps drawn at one size.

    The maps have their headings, and stand still for a while; then it begins again. The first `ANIMATED` points are
    shown.
    """
    stages = {heading: _centre(points)[:ANIMATED] for heading, points in maps.items()}
    ratio = max(float(np.abs(points[:, 1]).max()) for points in stages.values())
    figure = Figure(figsize=(ANIMATION_INCHES, ANIMATION_INCHES * ratio + 0.9), dpi=ANIMATION_DPI, layout="constrained")
    axes = figure.add_subplot()
    headings, places = list(stages), list(stages.values())
    dots = _draw(axes, places[0], labels[: len(places[0])], headings[0], size=5, smooth=False)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05 * ratio, 1.05 * ratio))
    _legend(figure, classes, ncols=5)
    head(figure, title, subtitle)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # the panel stays where it is, whatever stands over it

    def frame(heading: str, points: Map) -> Image.Image:
        axes.set_title(heading, fontsize=12)
        dots.set_offsets(points)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    frames, milliseconds = [frame(headings[0], places[0])], [STILL]
    for before, after, heading in zip(places, places[1:], headings[1:], strict=False):
        for t in np.linspace(0, 1, TWEENS + 2)[1:]:
            eased = t * t * (3 - 2 * t)
            frames.append(frame(heading, (1 - eased) * before + eased * after))
            milliseconds.append(STILL if t == 1 else MOVING)
    palette = frames[0].quantize(PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)  # each has all
    drawn = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames]
    buffer = io.BytesIO()
    drawn[0].save(buffer, "gif", save_all=True, append_images=drawn[1:], duration=milliseconds, loop=0, optimize=True)
    return buffer.getvalue()


def _draw(axes: Axes, points: Map, labels: Labels, title: str, *, size: float, smooth: bool = True) -> PathCollection:
    """Draw the points in the order given, which is no class's, so that no class hides another.

    `size` is of a dot, in square points.
    """
    colors = np.array(CLASS_COLORS)[labels]
    dots = axes.scatter(*points.T, s=size, c=colors, linewidths=0, antialiaseds=smooth)
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])  # t-SNE's units mean nothing
    axes.set_aspect("equal", adjustable="box")
    axes.spines[:].set_color("0.8")
    return dots


def _fit(axes: Axes, points: Map, ratio: float) -> None:
    """Let the panel hold all points and little more, with a height of `ratio` times its width."""
    low, high = points.min(0), points.max(0)
    width = 1.06 * max(high[0] - low[0], (high[1] - low[1]) / ratio)
    half = np.array([width, ratio * width]) / 2
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _name(axes: Axes, points: Map, labels: Labels, classes: Sequence[str], inches: float) -> None:
    """Write each class's name at the median of its points or as near as the others leave it, in a panel so wide."""
    present: list[int] = np.unique(labels).tolist()
    medians = np.array([np.median(points[labels == label], 0) for label in present])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    unit = (right - left) / (72 * 0.95 * inches)  # a point
    sizes = unit * np.array([(0.66 * LETTERS * len(classes[label]) + 5, 1.35 * LETTERS) for label in present])
    places = repelled(medians, sizes, np.array([left, bottom]), np.array([right, top]))
    for label, median, place, (_, high) in zip(present, medians, places, sizes, strict=True):
        if np.linalg.norm(place - median) > high:
            x, y = zip(place, median, strict=True)
            (line,) = axes.plot(x, y, color="0.1", linewidth=0.9, marker=".", markevery=[1])
            line.set_path_effects([withStroke(linewidth=2.4, foreground="white")])
        style = {"ha": "center", "va": "center", "fontsize": LETTERS, "weight": "bold", "zorder": 6}
        name = axes.text(place[0], place[1], classes[label], **style)
        name.set_path_effects([withStroke(linewidth=2.6, foreground="white")])


def _dot(count: int, inches: float) -> float:
    """Return the area, in square points, of dots that keep apart so many points in a map so wide."""
    return min(25.0, max(2.0, 3_000 * inches / count))


def _legend(figure: Figure, classes: Sequence[str], *, ncols: int) -> None:
    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=7, color=color, label=name)
        for name, color in zip(classes, CLASS_COLORS, strict=False)
    ]
    style = {"fontsize": 10, "frameon": False, "columnspacing": 1, "handletextpad": 0.1}
    figure.legend(handles=dots, loc="outside lower center", ncols=ncols, **style)


def _centre(points: Map) -> Map:
    """Return the points in [-1, 1], about the middle of their bounds."""
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / (max(high - low) / 2)


def _spread(values: Float[np.ndarray, "seeds stages"]) -> Float[np.ndarray, " stages"]:
    """Return the sample standard deviation over seeds, 0 where fewer than two have the stage."""
    many = np.sum(np.isfinite(values), 0) > 1
    return np.array([np.nanstd(column, ddof=1) if some else 0 for column, some in zip(values.T, many, strict=True)])


def _apart(epochs: Float[np.ndarray, " stages"]) -> list[float]:
    """Return the last of the epochs and those before it whose tick labels do not touch."""
    kept: list[float] = []
    for epoch in sorted(set(epochs.tolist()), reverse=True):
        if not kept or epoch * 1.4 <= kept[-1]:
            kept.append(epoch)
    return kept
