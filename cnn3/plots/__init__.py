"""Figures; nothing outside this package draws.

Each function returns a `matplotlib.figure.Figure` of its own, `animation` a GIF; nothing here touches matplotlib's
global state.
"""

from cnn3.plots.answers import Mistake, confusion, mistakes, reliability
from cnn3.plots.beside import Beside, beside
from cnn3.plots.curves import TRAIN, VALIDATION, Against, Metric, comparison, curves
from cnn3.plots.differences import differences
from cnn3.plots.heatmap import Ticks, heatmap
from cnn3.plots.latent import animation, latent_map, latent_maps, separability
from cnn3.plots.scatter import Point, scatter
from cnn3.plots.sheet import sheet
from cnn3.plots.style import CLASS_COLORS, COLORS, DPI, save

__all__ = [
    "CLASS_COLORS",
    "COLORS",
    "DPI",
    "TRAIN",
    "VALIDATION",
    "Against",
    "Beside",
    "Metric",
    "Mistake",
    "Point",
    "Ticks",
    "animation",
    "beside",
    "comparison",
    "confusion",
    "curves",
    "differences",
    "heatmap",
    "latent_map",
    "latent_maps",
    "mistakes",
    "reliability",
    "save",
    "scatter",
    "separability",
    "sheet",
]
