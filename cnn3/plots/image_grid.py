"""Rows of images."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from cnn3.plots.style import add_title


def image_grid(
    rows: Mapping[str, UInt8[np.ndarray, "columns 32 32 3"]],
    title: str,
    subtitle: str = "",
    column_names: Sequence[str] = (),
) -> Figure:
    """Return rows of images, each named at its left; columns are named above them if names are given."""
    n_columns = len(next(iter(rows.values())))
    figure = Figure(figsize=(0.72 * n_columns + 0.9, 0.74 * len(rows) + 0.25), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # type: ignore[union-attr]
    panels = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, (name, images) in zip(panels, rows.items(), strict=True):
        for axes, image in zip(row, images, strict=True):
            axes.imshow(image, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    for axes, name in zip(panels[0], column_names, strict=False):
        axes.set_title(name, fontsize=10)
    add_title(figure, title, subtitle)
    return figure
