"""Figures; nothing outside this package draws.

Each function returns a `matplotlib.figure.Figure` of its own; nothing here touches matplotlib's global state.
"""

from cnn3.plots.curves import TRAIN, VALIDATION, Against, Metric, comparison, curves
from cnn3.plots.differences import differences
from cnn3.plots.heatmap import Ticks, heatmap
from cnn3.plots.scatter import Point, scatter
from cnn3.plots.style import COLORS, DPI, save

__all__ = [
    "COLORS",
    "DPI",
    "TRAIN",
    "VALIDATION",
    "Against",
    "Metric",
    "Point",
    "Ticks",
    "comparison",
    "curves",
    "differences",
    "heatmap",
    "save",
    "scatter",
]
