"""Figures; nothing outside this package draws.

Each function returns a `matplotlib.figure.Figure` of its own; nothing here touches matplotlib's global state.
"""

from cnn3.plots.curves import TRAIN, VALIDATION, Metric, comparison, curves
from cnn3.plots.style import DPI, save

__all__ = ["DPI", "TRAIN", "VALIDATION", "Metric", "comparison", "curves", "save"]
