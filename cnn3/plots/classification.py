"""A classifier's predictions: which classes it confuses, how well it is calibrated, and where it errs."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from cnn3.analysis.calibration import Reliability, calibration_error
from cnn3.plots.style import COLORS, add_title, style_axes

DIAGONAL = "0.9"
MISTAKES_PER_ROW = 6
MIN_IMAGES = 10  # of a bin; the accuracy of fewer says little


class Mistake(NamedTuple):
    """A misclassified image."""

    image: UInt8[np.ndarray, "32 32 3"]
    true: str
    predicted: str
    confidence: float


def confusion_matrix(
    counts: Int[np.ndarray, "classes classes"], classes: Sequence[str], title: str, subtitle: str = ""
) -> Figure:
    """Return the confusion matrix: counts of images by true class (rows) and predicted class.

    Only errors are shaded, by their fraction of the row: on one scale with the many correct predictions they would all
    look alike.
    """
    figure = Figure(figsize=(7.6, 6.4), layout="constrained")
    axes = figure.add_subplot()
    fractions = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    errors = np.ma.masked_array(fractions, np.eye(len(counts), dtype=bool))
    colors = colormaps["Blues"].with_extremes(bad=DIAGONAL)
    image = axes.imshow(errors, cmap=colors, vmin=0, vmax=errors.max() or 1)
    for (row, column), count in np.ndenumerate(counts):
        dark = row != column and fractions[row, column] > 0.55 * errors.max()
        color = "white" if dark else "black" if count else "0.5"
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count), ha="center", va="center", fontsize=10, color=color, weight=weight)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("Predicted class", fontsize=11)
    axes.set_ylabel("True class", fontsize=11)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10)
    bar = figure.colorbar(image, shrink=0.8)
    bar.set_label("Fraction of the true class (errors only; right answers grey)", fontsize=10)
    bar.outline.set_visible(False)  # type: ignore[operator]
    add_title(figure, title, subtitle)
    return figure


def reliability_diagram(bins: Reliability, title: str, subtitle: str = "") -> Figure:
    """Return the accuracy of predictions against their confidence, and below it the number of images in each bin.

    Bins with few images have a hollow dot and a pale bar.
    """
    figure = Figure(figsize=(6.4, 5.8), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, len(bins.images) + 1)
    small_bins = (bins.images > 0) & (bins.images < MIN_IMAGES)
    bar_style = {"width": edges[1], "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    heights = upper.bar(
        edges[:-1], np.nan_to_num(bins.accuracy), color=COLORS[0], label="accuracy of a bin", **bar_style
    )
    for bar, pale in zip(heights, small_bins, strict=True):
        bar.set_alpha(0.35 if pale else 1)
    upper.plot([0, 1], [0, 1], "--", color="0.3", linewidth=1.2, label="perfectly calibrated")
    dot_style = {"color": COLORS[1], "markersize": 5.5, "linestyle": "none", "clip_on": False, "zorder": 5}
    large_bins = (bins.images > 0) & ~small_bins
    upper.plot(
        bins.confidence[large_bins],
        bins.accuracy[large_bins],
        "o",
        label="a bin's mean confidence and accuracy",
        **dot_style,
    )
    if small_bins.any():
        dot_style |= {"markerfacecolor": "white", "markeredgewidth": 1.4}
        label = f"the same, bin of fewer than {MIN_IMAGES} images"
        upper.plot(bins.confidence[small_bins], bins.accuracy[small_bins], "o", label=label, **dot_style)
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    note = f"expected calibration error {calibration_error(bins):.4f}"
    upper.text(0.97, 0.04, note, transform=upper.transAxes, ha="right", fontsize=10, backgroundcolor="white")
    lower.bar(edges[:-1], bins.images, color="0.6", **bar_style)
    lower.set_yscale("log")
    lower.set_ylim(0.7, 2 * max(bins.images.max(initial=1), 10))
    lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    style_axes(upper, "", "Accuracy")
    style_axes(lower, f"Confidence ({len(bins.images)} bins of equal width)", "Images (log axis)")
    figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
    add_title(figure, title, subtitle)
    return figure


def mistake_grid(mistakes: Sequence[Mistake], title: str, subtitle: str = "") -> Figure:
    """Return misclassified images in rows, each with its true and its predicted class."""
    n_rows = max(1, math.ceil(len(mistakes) / MISTAKES_PER_ROW))
    figure = Figure(figsize=(1.6 * MISTAKES_PER_ROW, 2.0 * n_rows), layout="constrained")
    panels = list(figure.subplots(n_rows, MISTAKES_PER_ROW, squeeze=False).flat)
    for axes, mistake in zip(panels, mistakes, strict=False):
        axes.imshow(mistake.image, interpolation="nearest")
        heading = f"{mistake.true}, taken for\n{mistake.predicted} ({mistake.confidence:.3f})"
        axes.set_title(heading, fontsize=10)
    for axes in panels:
        axes.set_axis_off()
    add_title(figure, title, subtitle)
    return figure
