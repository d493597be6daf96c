"""Figures; nothing outside this package draws.

Each function returns a `matplotlib.figure.Figure` of its own, `animation` a GIF; nothing here touches matplotlib's
global state.
"""

from cnn3.plots.answers import Mistake, confusion, mistakes, reliability
from cnn3.plots.curves import TRAIN, VALIDATION, Metric, comparison, curves
from cnn3.plots.latent import animation, latent_map, latent_maps, separability
from cnn3.plots.style import CLASS_COLORS, COLORS, DPI, save

__all__ = [
    "CLASS_COLORS",
    "COLORS",
    "DPI",
    "TRAIN",
    "VALIDATION",
    "Metric",
    "Mistake",
    "animation",
    "comparison",
    "confusion",
    "curves",
    "latent_map",
    "latent_maps",
    "mistakes",
    "reliability",
    "save",
    "separability",
]
