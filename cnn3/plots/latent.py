"""Maps of the latent space to the plane, and how far its classes lie apart as training goes on."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Literal

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

from cnn3.plots.style import CLASS_COLORS, COLORS, columns, frame

Map = Float[np.ndarray, "n 2"]
Labels = Int[np.ndarray, " n"]
Place = Literal["outside right center", "outside lower center"]

NEAREST = 40  # a class is named in the map where most of so many points around are its own
TWEENS, STILL, MOVING = 4, 1200, 60  # frames from one stage to the next, and milliseconds that frames are shown
ANIMATION_INCHES, ANIMATION_DPI = 4.0, 100
ANIMATED, PALETTE = 1000, 32  # points and colours: a GIF has to be small


def latent_map(points: Map, labels: Labels, classes: Sequence[str], title: str) -> Figure:
    """Return a map with a colour for each class, and the class's name where it has a place of its own."""
    figure = Figure(figsize=(7.4, 6.4), layout="constrained")
    _draw(figure.add_subplot(), points, labels, classes, title, size=_dot(len(points), 4.5))
    _legend(figure, classes, ncols=1, loc="outside right center")
    return figure


def latent_maps(maps: Mapping[str, Map], labels: Labels, classes: Sequence[str], title: str, most: int) -> Figure:
    """Return maps side by side, by their headings, in rows of at most so many; labels may be of more points."""
    wide = columns(len(maps), most)
    rows = math.ceil(len(maps) / wide)
    inches = min(3.2, 12 / wide)  # three maps of 10,000 dots are then a file of less than 200 kB
    figure = Figure(figsize=(inches * wide, inches * rows + 0.9), layout="constrained")
    panels = list(figure.subplots(rows, wide, squeeze=False).flat)
    for axes, (heading, points) in zip(panels, maps.items(), strict=False):
        _draw(axes, points, labels[: len(points)], classes, heading, size=_dot(len(points), inches / 2), letters=9)
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    figure.suptitle(title, fontsize=13)
    _legend(figure, classes, ncols=min(len(classes), 3 * wide + 1), loc="outside lower center")
    return figure


def separability(
    epochs: Sequence[float],
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "seeds stages"]]],
    best: int | None,
    title: str,
) -> Figure:
    """Return curves of what `cnn3.latent.scores` says against the epochs trained, a panel for each heading.

    Args:
        epochs: trained before each stage.
        panels: values by heading and name; not a number where a seed has no such stage. Several seeds are drawn as
            mean and standard deviation.
        best: which stage is that of the best epoch, which is marked.
        title: of the figure.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
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
                marked = {"markersize": 9, "markeredgecolor": "white", "color": color, "zorder": 5}
                axes.plot(epochs[best], mean[best], "o", **marked)
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.xaxis.set_major_locator(FixedLocator(_apart(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.0f}")
        frame(axes, "Epochs trained" if best is None else "Epochs trained (large: best epoch)", heading, "")
    figure.legend(loc="outside lower center", ncols=sum(map(len, panels.values())), frameon=False, fontsize=10)
    figure.suptitle(f"{title} (mean ± std of {seeds} seeds)" if seeds > 1 else title, fontsize=12)
    return figure


def animation(maps: Mapping[str, Map], labels: Labels, classes: Sequence[str]) -> bytes:
    """Return an animated GIF in which points go straight from each map to the next, all maps drawn at one size.

    The maps have their headings, and stand still for a while; then it begins again. The first `ANIMATED` points are
    shown.
    """
    figure = Figure(figsize=(ANIMATION_INCHES, ANIMATION_INCHES), dpi=ANIMATION_DPI, layout="constrained")
    axes = figure.add_subplot()
    stages = {heading: _centre(points)[:ANIMATED] for heading, points in maps.items()}
    headings, places = list(stages), list(stages.values())
    dots = _draw(axes, places[0], labels[: len(places[0])], classes, headings[0], size=5, named=False)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05))
    axes.set_aspect("equal", adjustable="box")
    _legend(figure, classes, ncols=5, loc="outside lower center")
    canvas = FigureCanvasAgg(figure)

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


def _draw(
    axes: Axes,
    points: Map,
    labels: Labels,
    classes: Sequence[str],
    title: str,
    *,
    size: float,
    letters: float = 11,
    named: bool = True,
) -> PathCollection:
    """Draw the points in the order given, which is no class's, so that no class hides another.

    `size` is of a dot, in square points, and `letters` of the classes' names, in points.
    """
    colors = np.array(CLASS_COLORS)[labels]
    dots = axes.scatter(*points.T, s=size, c=colors, linewidths=0, antialiaseds=named)
    for label, place in _places(points, labels).items() if named else ():
        name = axes.text(place[0], place[1], classes[label], ha="center", va="center", fontsize=letters, weight="bold")
        name.set_path_effects([withStroke(linewidth=3, foreground="white")])
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])  # t-SNE's units mean nothing
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_color("0.8")
    return dots


def _dot(count: int, inches: float) -> float:
    """Return the area, in square points, of dots that keep apart so many points in a map so wide."""
    return min(25.0, max(2.0, 3_000 * inches / count))


def _places(points: Map, labels: Labels) -> dict[int, Float[np.ndarray, " 2"]]:
    """Return where classes are named: at the point nearest to the median of each, if most points around are its own."""
    places = {}
    for label in np.unique(labels).tolist():
        own = points[labels == label]
        place = own[np.argmin(np.sum((own - np.median(own, 0)) ** 2, 1))]
        around = np.argsort(np.sum((points - place) ** 2, 1))[:NEAREST]
        if np.mean(labels[around] == label) > 0.5:
            places[label] = place
    return places


def _legend(figure: Figure, classes: Sequence[str], *, ncols: int, loc: Place) -> None:
    dots = [
        Line2D([], [], linestyle="none", marker="o", markersize=7, color=color, label=name)
        for name, color in zip(classes, CLASS_COLORS, strict=False)
    ]
    figure.legend(handles=dots, loc=loc, ncols=ncols, fontsize=10, frameon=False, columnspacing=1, handletextpad=0.1)


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
        if not kept or epoch * 1.3 <= kept[-1]:
            kept.append(epoch)
    return kept
