"""Figures of single numbers: on a grid, against a cost, compared with other numbers."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text

from cnn3 import plots
from cnn3.plots.heatmap import scale_minimum
from cnn3.plots.scatter import LINE_HEIGHT
from cnn3.plots.style import spread_labels
from tests.helpers.drawn import contrast, figure_subtitle, is_round, legend, lines, points

ROWS, COLUMNS = plots.Ticks("Rate", ["a", "b", "c"]), plots.Ticks("Size", ["1", "2"])
TEXT = plots.HeatmapText("Accuracy", "selected", "Ours minus theirs")
WHITE = (1, 1, 1)


def test_a_heat_map_shows_all_numbers_and_frames_the_highest():
    grid = np.array([[0.1, 0.25], [np.nan, 0.2], [0.3, 0.05]])
    figure = plots.heatmap({"ours": grid, "theirs": np.full((3, 2), np.nan)}, ROWS, COLUMNS, TEXT, "Accuracy", "How")
    figure.draw_without_rendering()
    ours, theirs, difference, scale, _ = figure.axes
    assert [text.get_text() for text in ours.texts] == ["0.1000", "0.2500", "-", "0.2000", "0.3000", "0.0500"]
    assert [text.get_position() for text in ours.texts[:3]] == [(0, 0), (1, 0), (0, 1)]
    (frame,) = ours.patches
    column, row = frame.get_center()  # type: ignore[attr-defined]
    assert (round(column), round(row)) == (0, 2)
    assert [text.get_text() for text in theirs.texts] == ["-"] * 6
    assert not theirs.patches
    assert [text.get_text() for text in difference.texts] == ["-"] * 6
    assert [text.get_text() for text in ours.get_yticklabels()] == ["a", "b", "c"]
    assert ours.get_ylabel() == "Rate"
    assert [axes.get_title() for axes in (ours, theirs, difference)] == ["ours", "theirs", "Ours minus theirs"]
    assert scale.get_ylim() == pytest.approx((0.1, 0.3))  # as far below the median, 0.2, as 0.3 lies above
    assert scale.get_ylabel() == "Accuracy\n(below 0.100: one colour)"
    assert legend(figure) == ["selected"]
    assert figure_subtitle(figure) == "How"


def test_a_heat_map_shows_the_difference_in_percentage_points_around_a_neutral_zero():
    ours, theirs = np.array([[0.5, 0.7], [0.6, 0.6], [0.1, 0.8]]), np.array([[0.5, 0.68], [0.603, 0.6], [np.nan, 0.85]])
    panel = plots.heatmap({"ours": ours, "theirs": theirs}, ROWS, COLUMNS, TEXT, "").axes[2]
    assert [text.get_text() for text in panel.texts] == ["+0.0", "+2.0", "-0.3", "+0.0", "-", "-5.0"]
    (image,) = panel.images
    assert (image.norm.vmin, image.norm.vmax) == pytest.approx((-5, 5))
    zero, positive, negative = (np.asarray(image.to_rgba(value)) for value in (0.0, 3.0, -3.0))  # type: ignore[arg-type]
    assert min(zero[:3]) > 0.95
    assert positive[2] > positive[0]
    assert negative[0] > negative[2]
    assert len(plots.heatmap({"ours": ours}, ROWS, COLUMNS, TEXT, "").axes) == 2  # the grid and its scale


def test_a_few_low_numbers_do_not_use_up_the_colours():
    """The original study's own grid: the six good cells share the scale, and its bar shows that it continues below."""
    grid = np.array([[0.6519, 0.6871, 0.7131], [0.816, 0.8142, 0.8207], [0.8346, 0.8226, 0.8173]])
    ticks = plots.Ticks("", list("abc"))
    (image,) = plots.heatmap({"": grid}, ticks, ticks, TEXT, "").axes[0].images
    assert image.norm.vmin == pytest.approx(0.816 - (0.8346 - 0.816))  # 0.816 is the median
    assert image.colorbar is not None
    assert image.colorbar.extend == "min"
    lowest_good, *_, highest = np.asarray(image.norm(np.sort(grid.ravel())[3:])).tolist()
    assert highest - lowest_good > 0.4
    (even,) = plots.heatmap({"": np.linspace(0, 1, 9).reshape(3, 3)}, ticks, ticks, TEXT, "").axes[0].images
    assert even.norm.vmin == 0
    assert even.colorbar is not None
    assert even.colorbar.extend == "neither"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_colour_scale_begins_between_the_lowest_and_the_highest_number(numbers):
    values = np.array(numbers)
    low = scale_minimum(values)
    assert values.min() <= low <= values.max()
    assert low < values.max() or values.min() == values.max()


def test_numbers_of_a_heat_map_contrast_with_their_cells():
    """Contrast of text and cell by WCAG's formula, at least 3 as large text needs."""
    grid = np.linspace(0.5, 0.9, 25).reshape(5, 5)
    ticks = plots.Ticks("", list("abcde"))
    figure = plots.heatmap({"a": grid, "b": np.full((5, 5), 0.7)}, ticks, ticks, TEXT, "")
    for axes in figure.axes[:3]:
        (image,) = axes.images
        for text, value in zip(axes.texts, np.asarray(image.get_array()).ravel(), strict=True):
            assert contrast(image.to_rgba(value), to_rgb(text.get_color())) >= 3  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_scatter_plot_names_every_point_without_overlap(scale):
    groups = {
        "First": {"one": plots.Point(1, 0.5)},
        "Second": {f"point {i}": plots.Point(1 + i, 0.5 + i / 1000, 0.01) for i in range(9)},
        "Third": {},
    }
    figure = plots.scatter(groups, "Cost", "Accuracy", "All", "How", x_scale=scale)
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    drawn = lines(axes)
    assert drawn["one"] == ([1], [0.5])
    assert drawn["point 3"] == ([4], [0.503])
    assert axes.get_xscale() == scale
    names = [text for text in axes.texts if isinstance(text, Annotation)]
    assert {text.get_text() for text in names} == {"one", *(f"point {i}" for i in range(9))}
    boxes = [Text.get_window_extent(text) for text in names]
    assert all(not a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.x0 > axes.get_window_extent().x1 and box.x1 < figure.bbox.x1 for box in boxes)
    assert all(text.xy == tuple(value[0] for value in drawn[text.get_text()]) for text in names)
    assert all(contrast(to_rgb(text.get_color()), WHITE) >= 4.5 for text in names)
    assert figure_subtitle(figure) == "How"
    markers = {str(line.get_label()): (line.get_marker(), line.get_color()) for line in axes.lines}
    assert markers["one"] != markers["point 3"] == markers["point 4"]
    assert legend(figure) == ["First", "Second"]
    handles = figure.legends[0].get_lines()
    assert [(handle.get_marker(), handle.get_color()) for handle in handles] == [markers["one"], markers["point 3"]]


def test_markers_of_groups_contrast_with_the_page():
    """Contrast of at least 3 to white, as WCAG asks of graphics."""
    groups = {str(i): {str(i): plots.Point(i, i)} for i in range(7)}
    drawn = [line for line in plots.scatter(groups, "", "", "").axes[0].lines if str(line.get_label()) in groups]
    assert len(drawn) == 7
    assert all(contrast(to_rgb(line.get_color()), WHITE) >= 3 for line in drawn)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_labels_are_spread_within_bounds_in_their_order(heights):
    moved = spread_labels(sorted(heights), LINE_HEIGHT, 0, 1)
    gap = min(LINE_HEIGHT, 1 / max(len(heights), 1))
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(moved))
    assert all(-1e-9 <= height <= 1 for height in moved)


def test_labels_that_do_not_overlap_stay():
    assert spread_labels([0.1, 0.5, 0.9], LINE_HEIGHT, 0, 1) == [0.1, 0.5, 0.9]


def test_differences_are_drawn_at_their_means():
    differences = {
        "train": {"one": [1.0, 3.0], "two": [-2.0, None]},
        "test": {"one": [0.5, 0.5], "two": [None, None]},
    }
    figure = plots.difference_plot(differences, "points", "Differences", "How.")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    markers = [bar[0] for bar in axes.containers]
    assert [float(np.asarray(line.get_xdata())[0]) for line in markers] == [2.0, -2.0, 0.5]
    assert [round(float(np.asarray(line.get_ydata())[0])) for line in markers] == [0, 1, 0]
    assert [points(line)[0] for line in axes.lines if line.get_marker() == "."] == [[1.0, 3.0], [0.5, 0.5]]
    assert figure_subtitle(figure) == "How. Bars: standard deviation; small dots: each seed."
    assert (
        figure_subtitle(plots.difference_plot({"a": {"one": [1.0]}}, "", ""))
        == "One seed: the role of chance is unknown."
    )


def test_means_are_compared_with_reported_numbers():
    groups = {
        "Test": {
            "within": plots.Interval(0.8, (0.78, 0.82), 0.81),
            "outside": plots.Interval(0.7, (0.69, 0.71), 0.75),
            "alone": plots.Interval(0.6, None, None),
        },
        "Validation": {"one seed": plots.Interval(0.5, None, 0.45), "nothing": plots.Interval(None, None, 0.5)},
    }
    figure = plots.dot_interval(groups, "Accuracy", "All", "How")
    figure.draw_without_rendering()
    above, below = figure.axes
    assert [label.get_text() for label in above.get_yticklabels()] == ["within", "outside", "alone"]
    assert [axes.get_title("left") for axes in figure.axes] == ["Test", "Validation"]
    marks = [points(line) for line in above.lines if line.get_label() == "_mean"]
    assert marks == [([0.8], [3]), ([0.7], [2]), ([0.6], [1])]
    reported = [line for line in above.lines if line.get_label() == "_reported"]
    fills = {points(line)[0][0]: line.get_markerfacecolor() for line in reported}
    assert fills == {0.81: plots.COLORS[1], 0.75: "white"}
    assert [text.get_text() for text in above.texts] == ["-1.0", "-5.0"]
    assert [text.get_text() for text in below.texts] == ["+5.0"]
    assert legend(figure)[:4] == [
        "here",
        "confidence interval of the mean",
        "original study, within the interval",
        "original study, outside the interval or without one",
    ]
    assert legend(figure)[4] == "original study, not compared"  # "nothing"
    assert is_round(below.get_xticks())
    single = plots.dot_interval({"Validation": groups["Validation"]}, "", "")
    assert legend(single)[:2] == ["here", "original study (one seed: no interval)"]


@pytest.mark.parametrize("highest", [1.75, 9.0, 100.0])
def test_a_logarithmic_axis_has_at_least_three_labels_however_short_it_is(highest):
    points = {"first": plots.Point(0.86, 0.8, None), "last": plots.Point(highest, 0.9, None)}
    figure = plots.scatter({"all": points}, "Cost", "Accuracy", "All", x_scale="log")
    FigureCanvasAgg(figure).draw()
    axis = figure.axes[0].xaxis
    low, high = sorted(axis.get_view_interval())
    labelled = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high and t.label1.get_text()]
    assert 3 <= len(labelled) <= 8


@pytest.mark.parametrize("length", [12, 28, 29, 46])
def test_the_legend_of_a_scatter_plot_fits_the_figure(length):
    text = "Original network, later recipe, fewer channels, and a wider hidden layer"
    groups = {f"{i} {text}"[:length]: {f"point {i}": plots.Point(i, 0.8, None)} for i in range(1, 6)}
    figure = plots.scatter(groups, "Cost", "Accuracy", "All")
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_a_figure_without_measurements_is_drawn(tmp_path: Path) -> None:
    rows = {"a": plots.Interval(None, None, 0.5), "b": plots.Interval(0.4, (0.3, 0.5), None)}
    figure = plots.dot_interval({"x": rows, "y": {}}, "x", "t")
    plots.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()
