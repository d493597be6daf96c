"""Figures: what is drawn is what was measured, and the files are pictures."""

import io
import itertools
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image

from cnn3 import OutputError, plots
from cnn3.plots.scatter import LINE, apart


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


def test_comparison_against_time_has_each_epoch_at_its_end():
    def timed(seconds: list[float], seed: int) -> list[dict]:
        return [record | {"seconds": s} for record, s in zip(history(len(seconds), seed), seconds, strict=True)]

    named = {"slow": [timed([100.0, 50.0], 0)], "quick": [timed([10.0, 20.0], 1), timed([20.0, 30.0, 40.0], 2)]}
    figure = plots.comparison(named, ("loss",), "All", "time")
    figure.draw_without_rendering()
    drawn = lines(figure.axes[0])
    assert drawn["slow"][0] == pytest.approx([100 / 60, 150 / 60])
    assert drawn["quick"][0] == pytest.approx([15 / 60, 40 / 60])  # the mean of 10 and 20, and of 30 and 50
    assert figure.axes[1].get_xlabel() == "Training time (min)"
    assert figure.axes[1].get_xlim()[0] == 0
    assert figure.axes[1].get_xlim()[1] > 150 / 60


@pytest.mark.parametrize(
    ("seconds", "unit"), [(1.0, "s"), (119.0, "s"), (120.0, "min"), (7199.0, "min"), (7200.0, "h")]
)
def test_time_is_in_a_unit_that_suits_it(seconds, unit):
    records = [record | {"seconds": seconds} for record in history(1)]
    figure = plots.comparison({"a": [records], "b": [[]]}, ("loss",), "All", "time")
    assert figure.axes[1].get_xlabel() == f"Training time ({unit})"
    assert lines(figure.axes[0])["a"][0] == [seconds / {"s": 1, "min": 60, "h": 3600}[unit]]


def test_more_names_than_colors_are_told_apart():
    named = {str(i): [history(2, i)] for i in range(9)}
    axes = plots.comparison(named, ("loss",), "All").axes[0]
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 9


def test_a_heat_map_shows_every_number_and_frames_the_highest():
    grid = np.array([[0.1, 0.25], [np.nan, 0.2], [0.3, 0.05]])
    other = np.full((3, 2), np.nan)
    rows, columns = plots.Ticks("Rate", ["a", "b", "c"]), plots.Ticks("Size", ["1", "2"])
    figure = plots.heatmap({"ours": grid, "theirs": other}, rows, columns, "Accuracy")
    figure.draw_without_rendering()
    ours, theirs, scale = figure.axes
    assert [text.get_text() for text in ours.texts] == ["0.1000", "0.2500", "-", "0.2000", "0.3000", "0.0500"]
    assert [text.get_position() for text in ours.texts[:3]] == [(0, 0), (1, 0), (0, 1)]
    (frame,) = ours.patches
    column, row = frame.get_center()  # type: ignore[attr-defined]
    assert (round(column), round(row)) == (0, 2)
    assert [text.get_text() for text in theirs.texts] == ["-"] * 6
    assert not theirs.patches
    assert [text.get_text() for text in ours.get_yticklabels()] == ["a", "b", "c"]
    assert ours.get_ylabel() == "Rate"
    assert (ours.get_title(), theirs.get_title()) == ("ours", "theirs")
    assert scale.get_ylim() == (0.05, 0.3)


def test_numbers_of_a_heat_map_stand_out_from_their_cells():
    """Contrast of text and cell by WCAG's formula, at least 3 as large text needs."""
    grid = np.linspace(0.5, 0.9, 25).reshape(5, 5)
    ticks = plots.Ticks("", list("abcde"))
    axes = plots.heatmap({"": grid}, ticks, ticks, "").axes[0]
    (image,) = axes.images
    for text, value in zip(axes.texts, grid.ravel(), strict=True):
        light, dark = sorted(map(_luminance, (image.to_rgba(value)[:3], to_rgb(text.get_color()))), reverse=True)  # type: ignore[arg-type]
        assert (light + 0.05) / (dark + 0.05) >= 3


def _luminance(color: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_scatter_plot_names_every_point_apart_from_the_others(scale):
    groups = [{"one": plots.Point(1, 0.5)}, {f"point {i}": plots.Point(1 + i, 0.5 + i / 1000, 0.01) for i in range(9)}]
    figure = plots.scatter(groups, "Cost", "Accuracy", "All", scale)
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    points = lines(axes)
    assert points["one"] == ([1], [0.5])
    assert points["point 3"] == ([4], [0.503])
    assert axes.get_xscale() == scale
    names = [text for text in axes.texts if isinstance(text, Annotation)]
    assert {text.get_text() for text in names} == {"one", *(f"point {i}" for i in range(9))}
    boxes = [Text.get_window_extent(text) for text in names]
    assert all(not a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x0 > axes.get_window_extent().x1 and box.x1 < figure.bbox.x1 for box in boxes)
    assert all(text.xy == tuple(value[0] for value in points[text.get_text()]) for text in names)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_heights_are_moved_apart_within_bounds_and_keep_their_order(heights):
    moved = apart(sorted(heights))
    gap = min(LINE, 1 / max(len(heights), 1))
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(moved))
    assert all(-1e-9 <= height <= 1 for height in moved)


def test_heights_that_are_apart_stay():
    assert apart([0.1, 0.5, 0.9]) == [0.1, 0.5, 0.9]


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
            counted: Any = image.convert("RGB").getcolors(2**24)
            _, (_, grid), *_ = sorted(counted, reverse=True)  # the most frequent colours
            colors = {color for _, color in counted}
        assert _nearest(colors, plots.VALIDATION) == 0
        assert _nearest(colors, plots.TRAIN) == 0
        assert len(set(grid)) == 1  # grey, as it was drawn
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


def test_differences_stand_where_their_means_are():
    given = {
        "train": {"one": [1.0, 3.0], "two": [-2.0, None]},
        "test": {"one": [0.5, 0.5], "two": [None, None]},
    }
    (axes,) = plots.differences(given, "points", "Differences").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    markers = [bar[0] for bar in axes.containers]
    assert [float(np.asarray(line.get_xdata())[0]) for line in markers] == [2.0, -2.0, 0.5]
    assert [round(float(np.asarray(line.get_ydata())[0])) for line in markers] == [0, 1, 0]
