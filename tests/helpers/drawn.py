"""Histories to draw, and functions that read a figure."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnn3.plots.style import TICK_STEPS


def history(epochs: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return a history of random numbers."""
    values = np.random.default_rng(seed).random((epochs, 4)).tolist()
    return [
        {"epoch": i, "train": {"loss": a, "accuracy": b}, "validation": {"loss": c, "accuracy": d}}
        for i, (a, b, c, d) in enumerate(values)
    ]


def learning(epochs: int, seed: int) -> list[dict[str, Any]]:
    """Return a history like one of training: steep at first, then level, with some noise."""
    level = 0.8 * (1 - np.exp(-np.arange(1, epochs + 1) / 10))
    noise = np.random.default_rng(seed).normal(0, 0.006, (2, epochs))
    records = history(epochs)
    for i, record in enumerate(records):
        for split, accuracy in zip(("train", "validation"), level[i] + noise[:, i], strict=True):
            record[split] = {"loss": 2.3 - 2 * accuracy, "accuracy": accuracy}
    return records


def column(records: list[dict[str, Any]], split: str, metric: str) -> list[float]:
    """Return a metric of each epoch."""
    return [record[split][metric] for record in records]


def points(line: Any) -> tuple[list[float], list[float]]:
    """Return the coordinates of a line's points."""
    return list(line.get_xdata()), list(line.get_ydata())


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Return the points of each line, by its label."""
    return {str(line.get_label()): points(line) for line in axes.lines}


def colors(axes: Axes) -> dict[str, Any]:
    """Return the colour of each line, by its label."""
    return {str(line.get_label()): line.get_color() for line in axes.lines}


def legend(figure: Figure) -> list[str]:
    """Return the labels of the legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def figure_subtitle(figure: Figure) -> str:
    """Return the subtitle as one line."""
    lines = [text.get_text() for text in figure.texts if text.get_text() != figure.get_suptitle()]
    return " ".join(" ".join(lines).split())


def is_round(ticks: Any) -> bool:
    """Whether ticks are at multiples of 1, 2, 2.5 or 5 times a power of ten."""
    (step,) = set(np.round(np.diff(ticks), 12))
    return any(abs(step / 10 ** np.floor(np.log10(step)) - multiple) < 1e-6 for multiple in TICK_STEPS)


def contrast(*pair: Any) -> float:
    """Return the contrast of two colours by WCAG's formula."""
    light, dark = sorted(map(_luminance, pair), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: Any) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
