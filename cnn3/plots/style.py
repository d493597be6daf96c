"""What all figures share: their colours, and how they are written."""

import io
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cnn3 import files

DPI = 160
# Okabe and Ito's colours, which colour-blind readers can tell apart, the darker ones first
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


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
    image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True, dpi=(DPI, DPI)
    )
    files.write(path, buffer.getvalue())
