"""Figures; nothing outside this package draws.

Each function returns a `matplotlib.figure.Figure` of its own, `animation` a GIF; nothing here touches matplotlib's
global state. Every figure has a title and, where it is given one, a subtitle that says what was trained, on what and
how long.
"""

from cnn3.plots.classification import Mistake, confusion, mistakes, reliability
from cnn3.plots.comparison import Against, comparison
from cnn3.plots.curves import TRAIN, VALIDATION, curves
from cnn3.plots.difference_plot import differences
from cnn3.plots.heatmap import Ticks, Words, heatmap
from cnn3.plots.histories import METRICS, SPLITS, Limits, Metric, Printed, PrintedNumbers, SplitName, limits
from cnn3.plots.image_grid import image_grid
from cnn3.plots.intervals import Interval, dot_interval
from cnn3.plots.latent import animation, latent_maps, separability
from cnn3.plots.scatter import Point, scatter
from cnn3.plots.style import CLASS_COLORS, COLORS, DPI, save

__all__ = [
    "CLASS_COLORS",
    "COLORS",
    "DPI",
    "METRICS",
    "SPLITS",
    "TRAIN",
    "VALIDATION",
    "Against",
    "Interval",
    "Limits",
    "Metric",
    "Mistake",
    "Point",
    "Printed",
    "PrintedNumbers",
    "SplitName",
    "Ticks",
    "Words",
    "animation",
    "dot_interval",
    "comparison",
    "confusion",
    "curves",
    "differences",
    "heatmap",
    "latent_maps",
    "limits",
    "mistakes",
    "reliability",
    "save",
    "scatter",
    "separability",
    "image_grid",
]
