"""A classifier's answers: which classes it confuses, how far its confidence can be trusted, and where it errs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from cnn3.analysis.calibration import Reliability, calibration_error
from cnn3.plots.style import COLORS, head, style_axes

DIAGONAL = "0.9"
FEW = 10  # images, whose accuracy says little


class Mistake(NamedTuple):
    """An image that was taken for what it is not."""

    image: UInt8[np.ndarray, "32 32 3"]
    true: str
    answer: str
    confidence: float


def confusion(
    counts: Int[np.ndarray, "classes classes"], classes: Sequence[str], title: str, subtitle: str = ""
) -> Figure:
    """Return the confusion matrix: counts of images by true class (rows) and predicted class.

    Only errors are shaded, by their fraction of the row: beside the right answers, which are most, they would all look
    alike.
    """
    figure = Figure(figsize=(7.6, 6.4), layout="constrained")
    axes = figure.add_subplot()
    fractions = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    errors = np.ma.masked_array(fractions, np.eye(len(counts), dtype=bool))
    colors = colormaps["Blues"].with_extremes(bad=DIAGONAL)
    shown = axes.imshow(errors, cmap=colors, vmin=0, vmax=errors.max() or 1)
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
    bar = figure.colorbar(shown, shrink=0.8)
    bar.set_label("Fraction of the true class (errors only; right answers grey)", fontsize=10)
    bar.outline.set_visible(False)  # type: ignore[operator]
    head(figure, title, subtitle)
    return figure


def reliability(of: Reliability, title: str, subtitle: str = "") -> Figure:
    """Return the accuracy of answers against their confidence, and below how many there are of each.

    Bins of few images have a hollow dot and a pale bar.
    """
    figure = Figure(figsize=(6.4, 5.8), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, len(of.images) + 1)
    few = (of.images > 0) & (of.images < FEW)
    bars = {"width": edges[1], "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    heights = above.bar(edges[:-1], np.nan_to_num(of.accuracy), color=COLORS[0], label="accuracy of a bin", **bars)
    for bar, pale in zip(heights, few, strict=True):
        bar.set_alpha(0.35 if pale else 1)
    above.plot([0, 1], [0, 1], "--", color="0.3", linewidth=1.2, label="perfectly calibrated")
    style = {"color": COLORS[1], "markersize": 5.5, "linestyle": "none", "clip_on": False, "zorder": 5}
    many = (of.images > 0) & ~few
    above.plot(of.confidence[many], of.accuracy[many], "o", label="a bin's mean confidence and accuracy", **style)
    if few.any():
        style |= {"markerfacecolor": "white", "markeredgewidth": 1.4}
        label = f"the same, bin of fewer than {FEW} images"
        above.plot(of.confidence[few], of.accuracy[few], "o", label=label, **style)
    above.set(xlim=(0, 1), ylim=(0, 1.02))
    note = f"expected calibration error {calibration_error(of):.4f}"
    above.text(0.97, 0.04, note, transform=above.transAxes, ha="right", fontsize=10, backgroundcolor="white")
    below.bar(edges[:-1], of.images, color="0.6", **bars)
    below.set_yscale("log")
    below.set_ylim(0.7, 2 * max(of.images.max(initial=1), 10))
    below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    style_axes(above, "", "Accuracy")
    style_axes(below, f"Confidence ({len(of.images)} bins of equal width)", "Images (log axis)")
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5, frameon=False)
    head(figure, title, subtitle)
    return figure


def mistakes(sheet: Sequence[Mistake], title: str, subtitle: str = "", columns: int = 6) -> Figure:
    """Return pictures with their class and what they were taken for, in rows."""
    rows = max(1, -(-len(sheet) // columns))
    figure = Figure(figsize=(1.6 * columns, 2.0 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, mistake in zip(panels, sheet, strict=False):
        axes.imshow(mistake.image, interpolation="nearest")
        words = f"{mistake.true}, taken for\n{mistake.answer} ({mistake.confidence:.3f})"
        axes.set_title(words, fontsize=10)
    for axes in panels:
        axes.set_axis_off()
    head(figure, title, subtitle)
    return figure
