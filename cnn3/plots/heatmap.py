"""Heat maps of numbers on a grid."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from cnn3.plots.style import COLORS

COLORMAP = colormaps["cividis"]  # made so that colour-blind readers see what others see
BEST = COLORS[1]


class Ticks(NamedTuple):
    """What one side of a grid is called, and its rows or columns."""

    label: str
    names: Sequence[str]


def heatmap(panels: Mapping[str, Float[np.ndarray, "rows columns"]], rows: Ticks, columns: Ticks, title: str) -> Figure:
    """Return grids side by side, by heading, on one colour scale.

    Each cell holds its number, a dash if it is not finite; the highest of each grid is framed.
    """
    finite = np.concatenate([grid[np.isfinite(grid)] for grid in panels.values()])
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1e-3)
    figure = Figure(figsize=(1.4 + 4.0 * len(panels), 4.0), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    images = [
        _draw(of, grid, rows, columns, scale, name) for of, (name, grid) in zip(axes, panels.items(), strict=True)
    ]
    figure.colorbar(images[0], ax=list(axes), shrink=0.9)
    figure.suptitle(title, fontsize=13)
    return figure


def _draw(
    axes: Axes, grid: Float[np.ndarray, "rows columns"], rows: Ticks, columns: Ticks, scale: Normalize, heading: str
) -> AxesImage:
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=COLORMAP, norm=scale)
    axes.set_xticks(range(len(columns.names)), columns.names)
    axes.set_yticks(range(len(rows.names)), rows.names)
    axes.set_xlabel(columns.label, fontsize=11)
    axes.set_ylabel(rows.label, fontsize=11)
    axes.set_title(heading, fontsize=12)
    axes.tick_params(length=0, labelsize=10)
    axes.spines[:].set_visible(False)
    for (row, column), number in np.ndenumerate(grid):
        there = np.isfinite(number)
        color = "white" if there and scale(number) < 0.5 else "black"
        text = f"{number:.4f}" if there else "-"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=12)
    if np.isfinite(grid).any():
        row, column = np.unravel_index(np.nanargmax(grid), grid.shape)
        axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=BEST, linewidth=3))
    return image
