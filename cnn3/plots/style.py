"""What all figures share: colours, titles, ticks, the layout of panels and legends, and how they are saved."""

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

# Three more, as far from those under red-green blindness as those are from each other
CLASS_COLORS = (*COLORS, "#6633DD", "#99BB66", "#BB0033")

INK, PALE = "0.15", "0.35"  # of text on white; contrasts of 15:1 and 7.8:1
ORIGINAL = "original study"  # how legends name its numbers
TICK_STEPS = (1, 2, 2.5, 5, 10)  # ticks are at multiples of these
LINE_SPACING = 0.19  # inches, of a subtitle


def add_title(figure: Figure, title: str, subtitle: str = "") -> None:
    """Put a title and, in smaller letters, a subtitle above a figure, which grows by their height.

    The figure must have a constrained layout and its final width.
    """
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(subtitle, int(width * 13.6))  # letters of 9.5 points are about 1/14 inch wide
    top = 0.38 + LINE_SPACING * len(lines) + 0.06
    figure.set_size_inches(width, round((height + top) * DPI) / DPI)  # whole pixels
    figure.get_layout_engine().set(rect=(0, 0, 1, height / (height + top)))  # type: ignore[union-attr]
    left, unit = 0.08 / width, 1 / (height + top)
    style = {"ha": "left", "va": "top", "fontsize": 13, "weight": "bold", "color": INK}
    figure.suptitle(title, x=left, y=1 - 0.08 * unit, parse_math=False, **style)
    style = {"ha": "left", "va": "top", "fontsize": 9.5, "color": PALE, "linespacing": 1.25}
    figure.text(left, 1 - 0.36 * unit, "\n".join(lines), parse_math=False, **style)


def round_ticks(axis: Axis, max_ticks: int = 7) -> None:
    """Put ticks on an axis at round numbers only."""
    axis.set_major_locator(MaxNLocator(max_ticks, steps=TICK_STEPS))


def spread_labels(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending positions, moved apart until no two are closer than the gap, within bounds if all fit there."""
    gap = min(gap, (high - low) / max(len(positions), 1))
    moved: list[float] = []
    for position in positions:
        moved.append(max(position, moved[-1] + gap) if moved else max(position, low))
    ceiling = high
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


def style_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Label the axes of a plot of lines or points, and draw a light grid under it."""
    axes.set_xlabel(x_label, fontsize=11)
    axes.set_ylabel(y_label, fontsize=11)
    axes.tick_params(labelsize=10)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def balanced_columns(count: int, max_columns: int) -> int:
    """Return the number of columns, at most `max_columns`, that gives `count` items rows of about the same length."""
    return math.ceil(count / math.ceil(count / max_columns)) if count else 1


def legend_columns(labels: Sequence[str], inches: float, max_columns: int) -> int:
    """Return in how many columns, at most `max_columns`, the labels of a legend in 10 points fit a width."""
    for n_columns in range(balanced_columns(len(labels), max_columns), 1, -1):
        n_rows = math.ceil(len(labels) / n_columns)
        widest = [max(map(len, labels[i : i + n_rows])) for i in range(0, len(labels), n_rows)]
        if sum(0.085 * letters + 0.75 for letters in widest) <= inches:
            return n_columns
    return 1


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG of at most 256 colours, for a third of the size; the same figure gives the same bytes.

    Raises:
        OutputError: the file cannot be written.
    """
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    _reduce_colors(image).save(buffer, "png", optimize=True, dpi=(DPI, DPI))
    files.write(path, buffer.getvalue())


def _reduce_colors(image: Image.Image) -> Image.Image:
    """Return an image in 256 colours, each the most frequent of the colours that it stands for."""
    reduced = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    colors = np.asarray(image, np.int64) @ (1 << 16, 1 << 8, 1)
    pairs, counts = np.unique(np.asarray(reduced, np.int64) << 24 | colors, return_counts=True)
    index, color = np.divmod(pairs[np.argsort(counts, kind="stable")], 1 << 24)
    palette = np.zeros((256, 3), np.uint8)
    palette[index] = color[:, None] >> (16, 8, 0) & 255  # the last, the most frequent, stays
    reduced.putpalette(palette.tobytes())
    return reduced
