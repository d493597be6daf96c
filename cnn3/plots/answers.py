"""A classifier's answers: which classes it confuses, how far its confidence can be trusted, and where it errs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from matplotlib.figure import Figure

from cnn3.analysis import Reliability, calibration_error
from cnn3.plots.style import COLORS, frame


class Mistake(NamedTuple):
    """An image that was taken for what it is not."""

    image: UInt8[np.ndarray, "32 32 3"]
    true: str
    answer: str
    confidence: float


def confusion(counts: Int[np.ndarray, "classes classes"], classes: Sequence[str], title: str) -> Figure:
    """Return the confusion matrix: counts of images by class (rows) and answer, shaded by their part of the row."""
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.add_subplot()
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shown = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if parts[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=10, color=color)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("Answer", fontsize=11)
    axes.set_ylabel("Class", fontsize=11)
    axes.set_title(title, fontsize=12)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=10)
    bar = figure.colorbar(shown, shrink=0.8, label="Part of the class's images")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def reliability(of: Reliability, title: str) -> Figure:
    """Return the accuracy of answers against their confidence, and below how many there are of each."""
    figure = Figure(figsize=(5.6, 6.0), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, len(of.images) + 1)
    bars = {"width": edges[1], "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    above.bar(edges[:-1], np.nan_to_num(of.accuracy), color=COLORS[0], label="accuracy", **bars)
    above.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1.2, label="perfectly calibrated")
    above.plot(
        of.confidence, of.accuracy, "o", color=COLORS[1], markersize=5, clip_on=False, label="at the mean confidence"
    )
    above.set(xlim=(0, 1), ylim=(0, 1.02))
    note = f"expected calibration error {calibration_error(of):.4f}"
    above.text(0.97, 0.04, note, transform=above.transAxes, ha="right", fontsize=10, backgroundcolor="white")
    below.bar(edges[:-1], of.images, color="0.6", **bars)
    below.set_yscale("symlog", linthresh=1)
    frame(above, "", "Accuracy", title)
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=10, frameon=False)
    frame(below, f"Confidence ({len(of.images)} bins)", "Images", "")
    return figure


def mistakes(sheet: Sequence[Mistake], title: str, columns: int = 6) -> Figure:
    """Return pictures with their class and what they were taken for, in rows."""
    rows = max(1, -(-len(sheet) // columns))
    figure = Figure(figsize=(1.6 * columns, 2.0 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, mistake in zip(panels, sheet, strict=False):
        axes.imshow(mistake.image, interpolation="nearest")
        words = f"{mistake.true}, taken for\n{mistake.answer} ({mistake.confidence:.3f})"
        axes.set_title(words, fontsize=10)
    for axes in panels:
        axes.set_axis_off()
    figure.suptitle(title, fontsize=12)
    return figure
