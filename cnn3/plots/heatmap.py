"""Heat maps of numbers on a grid, and of their differences from another grid."""

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

from cnn3.plots.style import COLORS, add_title

COLORMAP = colormaps["cividis"]  # designed to look the same to colour-blind readers
DIVERGING = colormaps["RdBu"]  # blue is higher
BEST = COLORS[1]
MIN_RANGE = 2.0  # percentage points; the least that the colours of differences span, so that small ones look small
MIN_WIDTH = 6.6  # inches, for the title
DARK = 0.18  # relative luminance below which white text has more contrast than black

Grid = Float[np.ndarray, "rows columns"]


class Ticks(NamedTuple):
    """The label of one side of a grid, and the names of its rows or columns."""

    label: str
    names: Sequence[str]


class HeatmapText(NamedTuple):
    """Labels of a heat map's colour bar, framed cells, and panel of differences; None leaves that panel out."""

    numbers: str
    frame: str
    difference: str | None = None


def heatmap(
    panels: Mapping[str, Grid], rows: Ticks, columns: Ticks, text: HeatmapText, title: str, subtitle: str = ""
) -> Figure:
    """Return grids side by side, by heading, on one colour scale, and the first minus the second in percentage points.

    Each cell shows its number, or a dash if it is not finite; the highest of each grid is framed. So that a few low
    numbers do not use up the colours, the scale begins at `scale_minimum`, and the bar shows that it continues below.
    """
    grids = list(panels.values())
    has_difference = text.difference is not None and len(grids) == 2
    n_panels = len(grids) + has_difference
    figure = Figure(figsize=(max(MIN_WIDTH, 1.3 + 3.9 * n_panels), 3.9), layout="constrained")
    axes = list(figure.subplots(1, n_panels, squeeze=False)[0])
    scale, clipped = _scale(grids)
    grid_axes = axes[: len(grids)]
    for panel, (name, grid) in zip(grid_axes, panels.items(), strict=True):
        _draw(panel, grid, rows, columns, COLORMAP, scale, name, "{:.4f}")
        _frame_highest(panel, grid)
    label = f"{text.numbers}\n(below {scale.vmin:.3f}: one colour)" if clipped else text.numbers
    bar = figure.colorbar(grid_axes[0].images[0], ax=grid_axes, shrink=0.9, extend="min" if clipped else "neither")
    bar.set_label(label, fontsize=10)
    if has_difference:
        points = 100 * (grids[0] - grids[1])
        largest = max([MIN_RANGE, *np.abs(points[np.isfinite(points)]).tolist()])
        scale = Normalize(-largest, largest)
        image = _draw(axes[-1], points, rows, columns, DIVERGING, scale, str(text.difference), "{:+.1f}")
        bar = figure.colorbar(image, ax=axes[-1], shrink=0.9)
        bar.set_label("Percentage points", fontsize=10)
    for panel in axes[1:]:
        panel.set_ylabel("")
    framed = Patch(fill=False, edgecolor=BEST, linewidth=3, label=text.frame)
    figure.legend(handles=[framed], loc="outside lower center", fontsize=10, frameon=False)
    add_title(figure, title, subtitle)
    return figure


def scale_minimum(numbers: Float[np.ndarray, " n"]) -> float:
    """Return where colours begin: as far below the median as the highest number lies above it, or at the lowest."""
    median = float(np.median(numbers))
    low = max(float(numbers.min()), 2 * median - float(numbers.max()))
    return low if low < numbers.max() else float(numbers.min())


def _scale(grids: Sequence[Grid]) -> tuple[Normalize, bool]:
    """Return the scale of the colours, and whether any number lies below it."""
    finite = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    if not len(finite):
        return Normalize(0, 1), False
    low, high = scale_minimum(finite), float(finite.max())
    return Normalize(low, high if high > low else low + 1e-3), bool(finite.min() < low)


def _draw(
    axes: Axes,
    grid: Grid,
    rows: Ticks,
    columns: Ticks,
    colors: Colormap,
    scale: Normalize,
    heading: str,
    number_format: str,
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
        finite = np.isfinite(number)
        color = "white" if finite and _luminance(colors(scale(number))) < DARK else "black"
        label = number_format.format(number) if finite else "-"
        axes.text(column, row, label, ha="center", va="center", color=color, fontsize=12)
    return image


def _frame_highest(axes: Axes, grid: Grid) -> None:
    if np.isfinite(grid).any():
        row, column = np.unravel_index(np.nanargmax(grid), grid.shape)
        axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=BEST, linewidth=3))


def _luminance(color: Sequence[float]) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
