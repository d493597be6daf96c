"""Figures; nothing else in cnn3 draws.

Each function returns a new `matplotlib.figure.Figure`, `latent_animation` a GIF; none touches matplotlib's
global state. Every figure has a title and, if given, a subtitle that says what was trained, on what and for how long.
"""

from cnn3.plots.classification import Mistake, confusion_matrix, mistake_grid, reliability_diagram
from cnn3.plots.comparison import XAxis, comparison
from cnn3.plots.curves import TRAIN, VALIDATION, curves
from cnn3.plots.difference_plot import difference_plot
from cnn3.plots.heatmap import HeatmapText, Ticks, heatmap
from cnn3.plots.histories import METRICS, SPLITS, Limits, Metric, ReportedNumber, ReportedNumbers, SplitName, limits
from cnn3.plots.image_grid import image_grid
from cnn3.plots.intervals import Interval, dot_interval
from cnn3.plots.latent import latent_animation, latent_maps, separability_curves
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
    "HeatmapText",
    "Interval",
    "Limits",
    "Metric",
    "Mistake",
    "Point",
    "ReportedNumber",
    "ReportedNumbers",
    "SplitName",
    "Ticks",
    "XAxis",
    "comparison",
    "confusion_matrix",
    "curves",
    "difference_plot",
    "dot_interval",
    "heatmap",
    "image_grid",
    "latent_animation",
    "latent_maps",
    "limits",
    "mistake_grid",
    "reliability_diagram",
    "save",
    "scatter",
    "separability_curves",
]
