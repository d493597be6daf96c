"""Images in rows."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from cnn3.plots.style import head


def image_grid(
    rows: Mapping[str, UInt8[np.ndarray, "columns 32 32 3"]],
    title: str,
    subtitle: str = "",
    columns: Sequence[str] | None = None,
) -> Figure:
    """Return rows of images, each named at its left, and the columns named above if they have names."""
    width = len(next(iter(rows.values())))
    figure = Figure(figsize=(0.72 * width + 0.9, 0.74 * len(rows) + 0.25), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr]
    panels = figure.subplots(len(rows), width, squeeze=False)
    for line, (name, images) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    for axes, name in zip(panels[0], columns or (), strict=False):
        axes.set_title(name, fontsize=10)
    head(figure, title, subtitle)
    return figure
