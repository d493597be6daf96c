"""Figures: what is drawn is what was measured, and the files are pictures."""

import io
from typing import get_args

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from PIL import Image

from cnn3 import OutputError, plots


def history(epochs: int, seed: int = 0) -> list[dict]:
    values = np.random.default_rng(seed).random((epochs, 4)).tolist()
    return [
        {"epoch": i, "train": {"loss": a, "accuracy": b}, "validation": {"loss": c, "accuracy": d}}
        for i, (a, b, c, d) in enumerate(values)
    ]


def learning(epochs: int, seed: int) -> list[dict]:
    """Return a history as training makes it: quick at first, then level, with some noise."""
    level = 0.8 * (1 - np.exp(-np.arange(1, epochs + 1) / 10))
    noise = np.random.default_rng(seed).normal(0, 0.006, (2, epochs))
    records = history(epochs)
    for i, record in enumerate(records):
        for split, accuracy in zip(("train", "validation"), level[i] + noise[:, i], strict=True):
            record[split] = {"loss": 2.3 - 2 * accuracy, "accuracy": accuracy}
    return records


def column(records: list[dict], split: str, metric: str) -> list[float]:
    return [record[split][metric] for record in records]


def lines(axes: Axes) -> dict[str, tuple[list, list]]:
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}  # type: ignore[arg-type]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("metric", get_args(plots.Metric))
@pytest.mark.parametrize("epochs", [1, 2, 150])
def test_curves_are_the_history(metric, epochs):
    records = history(epochs)
    figure = plots.curves([records], metric, "Baseline")
    (axes,) = figure.axes
    drawn = lines(axes)
    numbers = list(range(1, epochs + 1))
    assert drawn["training"] == (numbers, column(records, "train", metric))
    assert drawn["validation"] == (numbers, column(records, "validation", metric))
    assert axes.get_title() == "Baseline"
    assert axes.get_xlabel() == "Epoch"
    assert axes.get_ylabel() == {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}[metric]


@pytest.mark.parametrize("metric", get_args(plots.Metric))
def test_the_best_epoch_is_the_first_of_highest_validation_accuracy(metric):
    records = history(5)
    for record, accuracy in zip(records, (0.1, 0.7, 0.3, 0.7, 0.2), strict=True):
        record["validation"]["accuracy"] = accuracy
    figure = plots.curves([records], metric, "")
    value = records[1]["validation"][metric]
    assert lines(figure.axes[0])[f"best (epoch 2): {value:.4f}"] == ([2], [value])
    assert f"best (epoch 2): {value:.4f}" in legend(figure)


@pytest.mark.parametrize("epochs", [1, 2, 3, 9, 71, 150])
def test_ticks_are_whole_epochs_from_one(epochs):
    figure = plots.curves([history(epochs)], "loss", "")
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_xlim()
    ticks = [tick for tick in figure.axes[0].get_xticks() if low <= tick <= high]
    assert ticks
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in ticks)
    assert low < 1
    assert high > epochs


def test_several_seeds_are_mean_and_deviation_over_the_epochs_that_all_reached():
    runs = [history(4, 1), history(6, 2), history(5, 3)]
    figure = plots.curves(runs, "accuracy", "Dense")
    (axes,) = figure.axes
    stack = np.array([column(run[:4], "validation", "accuracy") for run in runs])
    numbers, mean = lines(axes)["validation"]
    assert numbers == [1, 2, 3, 4]
    np.testing.assert_allclose(mean, np.mean(stack, 0), rtol=1e-12)
    band = [c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)][1].get_paths()[0].vertices
    edges = [sorted({y for x, y in np.asarray(band) if x == epoch}) for epoch in (1, 2, 3, 4)]
    expected = np.mean(stack, 0) + np.outer([-1, 1], np.std(stack, 0, ddof=1))
    np.testing.assert_allclose([[low[0], low[-1]] for low in edges], expected.T, rtol=1e-12)
    values = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert [of for of in values if len(of) == 6] == [
        column(runs[1], split, "accuracy") for split in ("train", "validation")
    ]
    assert "3 seeds" in axes.get_title()
    assert legend(figure) == ["training", "validation", "best epoch of each seed"]


def test_runs_without_an_epoch_are_left_out():
    records = history(3)
    assert lines(plots.curves([[], records], "loss", "x").axes[0]) == lines(
        plots.curves([records], "loss", "x").axes[0]
    )
    empty = plots.curves([[]], "loss", "x").axes[0]
    assert [text.get_text() for text in empty.texts] == ["no epoch ended"]


def test_comparison_draws_each_name_in_each_panel():
    named = {"baseline": [history(3, 1)], "batch norm": [history(5, 2)], "dense": [[]]}
    figure = plots.comparison(named, ("accuracy", "loss"), "All")
    figure.draw_without_rendering()
    labels = {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}
    headings = {"validation": "Validation", "train": "Training (augmented images)"}
    shown = [(split, metric) for split in headings for metric in labels]
    for axes, (split, metric) in zip(figure.axes, shown, strict=True):
        drawn = lines(axes)
        for name in ("baseline", "batch norm"):
            (records,) = named[name]
            assert drawn[name] == (list(range(1, len(records) + 1)), column(records, split, metric))
        assert drawn["dense (no epoch ended)"] == ([], [])
        assert axes.get_ylabel() == labels[metric]
        assert axes.get_title() == headings[split]
        colors = [line.get_color() for line in axes.lines]
        assert len(set(colors)) == len(named)
    assert legend(figure) == ["baseline", "batch norm", "dense (no epoch ended)"]


def test_comparison_tells_how_many_seeds():
    def title(named):
        return plots.comparison(named, ("loss",), "All").get_suptitle()

    two, three = [history(2, i) for i in range(2)], [history(2, i) for i in range(3)]
    assert title({"a": [history(2)]}) == "All"
    assert title({"a": three, "b": three}) == "All (mean ± std of 3 seeds)"
    assert title({"a": two, "b": three}) == "All (mean ± std of 2 to 3 seeds)"


def test_saved_figures_are_sharp_small_pictures(tmp_path):
    named = {name: [learning(150, i) for i in range(3)] for name in ("baseline", "batch norm", "dropout", "dense")}
    for name, figure in {
        "curves": plots.curves([learning(150, 0)], "loss", "Loss"),
        "comparison": plots.comparison(named, ("accuracy", "loss"), "All"),
    }.items():
        path = tmp_path / f"{name}.png"
        plots.save(figure, path)
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            width, height = figure.get_size_inches()
            assert image.format == "PNG"
            assert image.size == (round(width * plots.DPI), round(height * plots.DPI))
            assert image.info["dpi"] == pytest.approx((plots.DPI, plots.DPI), abs=0.1)
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
            colors = {color for _, color in image.convert("RGB").getcolors(2**24) or []}
        assert _nearest(colors, plots.VALIDATION) <= 8
        assert _nearest(colors, plots.TRAIN) <= 8
        assert len(content) < 200_000
        plots.save(figure, path)
        assert path.read_bytes() == content


def _nearest(colors: set, wanted: str) -> int:
    """Return how far the nearest of `colors` is from a hexadecimal one, in its worst channel."""
    target = [int(wanted[i : i + 2], 16) for i in (1, 3, 5)]
    return min(max(abs(a - b) for a, b in zip(color, target, strict=True)) for color in colors)


def test_an_unwritable_path_is_named(tmp_path):
    path = tmp_path / "missing" / "a.png"
    with pytest.raises(OutputError, match=r"a\.png"):
        plots.save(plots.curves([history(1)], "loss", ""), path)
