"""Heat maps of numbers on a grid, and of how far they lie from those of another grid."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from cnn3.plots.style import COLORS, head

COLORMAP = colormaps["cividis"]  # made so that colour-blind readers see what others see
DIVERGING = colormaps["RdBu"]  # blue is more
BEST = COLORS[1]
SMALL = 2.0  # points; the colours of differences reach at least so far, so that small ones look small
DARK = 0.18  # relative luminance below which white letters stand out more than black ones

Grid = Float[np.ndarray, "rows columns"]


class Ticks(NamedTuple):
    """What one side of a grid is called, and its rows or columns."""

    label: str
    names: Sequence[str]


class Words(NamedTuple):
    """What a heat map says: of its numbers, of the framed cells, and of the differences, which None leaves out."""

    numbers: str
    frame: str
    difference: str | None = None


def heatmap(
    panels: Mapping[str, Grid], rows: Ticks, columns: Ticks, words: Words, title: str, subtitle: str = ""
) -> Figure:
    """Return grids side by side, by heading, on one colour scale, and the first less the second in points.

    Each cell holds its number, a dash if it is not finite; the highest of each grid is framed. A few low numbers do
    not take the colours from the others: the scale begins where `lowest` says, and its bar shows that it goes on.
    """
    grids = list(panels.values())
    different = words.difference is not None and len(grids) == 2
    count = len(grids) + different
    figure = Figure(figsize=(1.3 + 3.9 * count, 3.9), layout="constrained")
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    scale, clipped = _scale(grids)
    shown = axes[: len(grids)]
    for of, (name, grid) in zip(shown, panels.items(), strict=True):
        _draw(of, grid, rows, columns, COLORMAP, scale, name, "{:.4f}")
        _frame_highest(of, grid)
    for of in axes[1:]:
        of.set_ylabel("")
    below = f"{words.numbers}\n(below {scale.vmin:.3f}: one colour)" if clipped else words.numbers
    bar = figure.colorbar(shown[0].images[0], ax=shown, shrink=0.9, extend="min" if clipped else "neither")
    bar.set_label(below, fontsize=10)
    if different:
        points = 100 * (grids[0] - grids[1])
        most = max([SMALL, *np.abs(points[np.isfinite(points)]).tolist()])
        scale = Normalize(-most, most)
        image = _draw(axes[-1], points, rows, columns, DIVERGING, scale, str(words.difference), "{:+.1f}")
        bar = figure.colorbar(image, ax=axes[-1], shrink=0.9)
        bar.set_label("Percentage points", fontsize=10)
    framed = Patch(fill=False, edgecolor=BEST, linewidth=3, label=words.frame)
    figure.legend(handles=[framed], loc="outside lower center", fontsize=10, frameon=False)
    head(figure, title, subtitle)
    return figure


def lowest(numbers: Float[np.ndarray, " n"]) -> float:
    """Return where colours begin: as far below the median as the highest number lies above it, or at the lowest."""
    middle = float(np.median(numbers))
    low = max(float(numbers.min()), 2 * middle - float(numbers.max()))
    return low if low < numbers.max() else float(numbers.min())


def _scale(grids: Sequence[Grid]) -> tuple[Normalize, bool]:
    """Return the scale of the colours, and whether some numbers lie below it."""
    finite = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    if not len(finite):
        return Normalize(0, 1), False
    low, high = lowest(finite), float(finite.max())
    return Normalize(low, high if high > low else low + 1e-3), bool(finite.min() < low)


def _draw(
    axes: Axes, grid: Grid, rows: Ticks, columns: Ticks, colors: Colormap, scale: Normalize, heading: str, form: str
) -> AxesImage:
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=colors, norm=scale)
    axes.set_xticks(range(len(columns.names)), columns.names)
    axes.set_yticks(range(len(rows.names)), rows.names)
    axes.set_xlabel(columns.label, fontsize=11)
    axes.set_ylabel(rows.label, fontsize=11)
    axes.set_title(heading, fontsize=12)
    axes.tick_params(length=0, labelsize=10)
    axes.spines[:].set_visible(False)
    for (row, column), number in np.ndenumerate(grid):
        there = np.isfinite(number)
        color = "white" if there and _luminance(colors(scale(number))) < DARK else "black"
        text = form.format(number) if there else "-"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=12)
    return image


def _frame_highest(axes: Axes, grid: Grid) -> None:
    if np.isfinite(grid).any():
        row, column = np.unravel_index(np.nanargmax(grid), grid.shape)
        axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=BEST, linewidth=3))


def _luminance(color: Sequence[float]) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
