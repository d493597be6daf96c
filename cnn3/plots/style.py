"""What all figures share: their colours, head and ticks, how many stand in a row, and how they are written."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from cnn3 import files

DPI = 160
# Okabe and Ito's colours, which colour-blind readers can tell apart, the darker ones first
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

# three more, as far from those under red-green blindness as those are from each other
CLASS_COLORS = (*COLORS, "#6633DD", "#99BB66", "#BB0033")

INK, PALE = "0.15", "0.35"  # of text on white; contrasts of 15:1 and 7.8:1
ORIGINAL = "original study"  # what a legend calls the numbers of the study that is done again
ROUND = (1, 2, 2.5, 5, 10)  # what ticks are multiples of
LINE_SPACING = 0.19  # inches, of a subtitle


def head(figure: Figure, title: str, subtitle: str = "") -> None:
    """Put a title over a figure, and under it in smaller letters what the figure is of; the figure grows by as much.

    It must have a constrained layout, and its final width.
    """
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(subtitle, int(width * 13.6))  # letters of 9.5 points are about 1/14 inch wide
    top = 0.38 + LINE_SPACING * len(lines) + 0.06
    figure.set_size_inches(width, round((height + top) * DPI) / DPI)  # whole pixels
    figure.get_layout_engine().set(rect=(0, 0, 1, height / (height + top)))  # type: ignore[union-attr]
    left, unit = 0.08 / width, 1 / (height + top)
    figure.suptitle(title, x=left, y=1 - 0.08 * unit, ha="left", va="top", fontsize=13, weight="bold", color=INK)
    below = {"ha": "left", "va": "top", "fontsize": 9.5, "color": PALE, "linespacing": 1.25}
    figure.text(left, 1 - 0.36 * unit, "\n".join(lines), **below)


def round_ticks(axis: Axis, most: int = 7) -> None:
    """Put ticks on an axis at round numbers only."""
    axis.set_major_locator(MaxNLocator(most, steps=ROUND))


def spread_labels(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return rising places moved so far that no two are closer than the gap, within bounds if all fit there."""
    gap = min(gap, (high - low) / max(len(places), 1))
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else max(place, low))
    ceiling = high
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


def style_axes(axes: Axes, x_label: str, y_label: str, title: str = "") -> None:
    """Label the axes of a plot of lines or points, and lay a light grid under it."""
    axes.set_xlabel(x_label, fontsize=11)
    axes.set_ylabel(y_label, fontsize=11)
    axes.set_title(title, fontsize=12)
    axes.tick_params(labelsize=10)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def columns(count: int, most: int) -> int:
    """Return how many of `count` things stand in a row of at most `most`, so that all rows are about as long."""
    return math.ceil(count / math.ceil(count / most)) if count else 1


def fitting(labels: Sequence[str], inches: float, most: int) -> int:
    """Return in how many columns, at most so many, the labels of a legend of 10 points fit a width."""
    for count in range(columns(len(labels), most), 1, -1):
        rows = math.ceil(len(labels) / count)
        widest = [max(map(len, labels[i : i + rows])) for i in range(0, len(labels), rows)]
        if sum(0.085 * letters + 0.75 for letters in widest) <= inches:
            return count
    return 1


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG of at most 256 colours, a third of the size; the same bytes for the same figure.

    Raises:
        OutputError: the file cannot be written.
    """
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    _few_colors(image).save(buffer, "png", optimize=True, dpi=(DPI, DPI))
    files.write(path, buffer.getvalue())


def _few_colors(image: Image.Image) -> Image.Image:
    """Return an image in 256 colours, each of them the most frequent one of those that it stands for."""
    few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    colors = np.asarray(image, np.int64) @ (1 << 16, 1 << 8, 1)
    pairs, counts = np.unique(np.asarray(few, np.int64) << 24 | colors, return_counts=True)
    index, color = np.divmod(pairs[np.argsort(counts, kind="stable")], 1 << 24)
    palette = np.zeros((256, 3), np.uint8)
    palette[index] = color[:, None] >> (16, 8, 0) & 255  # the last, most frequent one stays
    few.putpalette(palette.tobytes())
    return few
