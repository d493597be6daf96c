"""What all figures share: their colours, how many stand in a row, and how they are written."""

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cnn3 import files

DPI = 160
# Okabe and Ito's colours, which colour-blind readers can tell apart, the darker ones first
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

# three more, as far from those under red-green blindness as those are from each other
CLASS_COLORS = (*COLORS, "#6633DD", "#99BB66", "#BB0033")


def frame(axes: Axes, x_label: str, y_label: str, title: str) -> None:
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
