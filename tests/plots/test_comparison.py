"""Curves of several configurations in one figure."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cnn3 import plots
from tests.helpers.drawn import colors, column, figure_subtitle, history, is_round, learning, legend, lines, points


def test_comparison_draws_each_name_in_each_panel():
    named = {"Baseline": [history(3, 1)], "Batch norm": [history(5, 2)], "Dense block": [[]]}
    figure = plots.comparison(named, ("accuracy", "loss"), "All", "On what")
    figure.draw_without_rendering()
    labels = {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}
    headings = {"validation": "Validation", "train": "Training (augmented images, measured while training)"}
    shown = [(split, metric) for split in headings for metric in labels]
    for axes, (split, metric) in zip(figure.axes, shown, strict=True):
        drawn = lines(axes)
        for name in ("Baseline", "Batch norm"):
            (records,) = named[name]
            assert drawn[name] == (list(range(1, len(records) + 1)), column(records, split, metric))
        assert drawn["Dense block (no epoch finished)"] == ([], [])
        assert axes.get_ylabel() == labels[metric]
        assert axes.get_title() == headings[split]
        assert len({color for name, color in colors(axes).items() if name[0] != "_"}) == len(named)
        assert is_round(axes.get_yticks())
    assert legend(figure)[:3] == ["Baseline", "Batch norm", "Dense block (no epoch finished)"]
    assert legend(figure)[3:] == ["kept epoch (highest validation accuracy)"]
    assert figure_subtitle(figure) == "On what"


def test_kept_epochs_are_marked_on_the_validation_curves():
    named = {"a": [learning(20, 1)], "b": [learning(30, 2), learning(25, 3)]}
    above, below = plots.comparison(named, ("loss",), "All").axes
    marks = [line for line in above.lines if line.get_label() == "_kept"]
    for line, runs in zip(marks, named.values(), strict=True):
        best = [int(np.argmax(column(run, "validation", "accuracy"))) for run in runs]
        losses = [run[epoch]["validation"]["loss"] for run, epoch in zip(runs, best, strict=True)]
        assert points(line) == ([epoch + 1 for epoch in best], losses)
    assert "_kept" not in lines(below)


@pytest.mark.parametrize("x_axis", ["epochs", "time"])
def test_comparison_shows_reported_numbers_in_the_colour_of_their_curve(x_axis):
    timed = [record | {"seconds": 2.0} for record in learning(20, 1)]
    numbers: dict[str, plots.ReportedNumbers] = {
        "b": {
            ("validation", "accuracy"): plots.ReportedNumber(0.95),
            ("train", "accuracy"): plots.ReportedNumber(0.31),
        },
        "c": {("validation", "accuracy"): plots.ReportedNumber(0.6, 15)},
    }
    named = {"a": [timed], "b": [timed[:10]], "c": [timed]}
    figure = plots.comparison(named, ("accuracy",), "All", x_axis=x_axis, reported=numbers)
    for axes, value in zip(figure.axes, (0.95, 0.31), strict=True):
        (level,) = [line for line in axes.lines if line.get_label() == "_original study b"]
        assert points(level) == ([10 if x_axis == "epochs" else 20, axes.get_xlim()[1]], [value, value])
        assert level.get_color() == colors(axes)["b"]
        assert axes.get_ylim()[0] < value < axes.get_ylim()[1]
    assert "original study" in legend(figure)
    marks = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "D"]
    if x_axis == "epochs":
        assert list(map(points, marks)) == [([15], [0.6])]
        assert marks[0].get_color() == colors(figure.axes[0])["c"]
    else:
        assert marks == []


def test_comparison_states_the_number_of_seeds():
    def subtitle(named: dict[str, list]) -> str:
        return figure_subtitle(plots.comparison(named, ("loss",), "All", "On what."))

    two, three = [history(2, i) for i in range(2)], [history(2, i) for i in range(3)]
    assert subtitle({"a": [history(2)]}) == "On what."
    assert subtitle({"a": three, "b": three}) == "On what. Lines and bands: mean ± standard deviation of 3 seeds."
    assert subtitle({"a": two, "b": three}) == "On what. Lines and bands: mean ± standard deviation of 2 to 3 seeds."


def test_comparison_by_time_puts_each_epoch_at_its_end():
    def timed(seconds: list[float], seed: int) -> list[dict]:
        return [record | {"seconds": s} for record, s in zip(history(len(seconds), seed), seconds, strict=True)]

    named = {"slow": [timed([100.0, 50.0], 0)], "quick": [timed([10.0, 20.0], 1), timed([20.0, 30.0, 40.0], 2)]}
    figure = plots.comparison(named, ("loss",), "All", x_axis="time")
    figure.draw_without_rendering()
    drawn = lines(figure.axes[0])
    assert drawn["slow"][0] == pytest.approx([100 / 60, 150 / 60])
    assert drawn["quick"][0] == pytest.approx([15 / 60, 40 / 60])  # the mean of 10 and 20, and of 30 and 50
    assert figure.axes[1].get_xlabel() == "Training time (min)"
    assert figure.axes[1].get_xlim()[0] == 0
    assert figure.axes[1].get_xlim()[1] > 150 / 60
    assert is_round(figure.axes[1].get_xticks())


@pytest.mark.parametrize(
    ("seconds", "unit"), [(1.0, "s"), (119.0, "s"), (120.0, "min"), (7199.0, "min"), (7200.0, "h")]
)
def test_the_unit_of_time_suits_the_longest_run(seconds, unit):
    records = [record | {"seconds": seconds} for record in history(1)]
    figure = plots.comparison({"a": [records], "b": [[]]}, ("loss",), "All", x_axis="time")
    assert figure.axes[1].get_xlabel() == f"Training time ({unit})"
    assert lines(figure.axes[0])["a"][0] == [seconds / {"s": 1, "min": 60, "h": 3600}[unit]]


def test_curves_that_coincide_differ_in_colour_or_dashes():
    """Earlier curves show through the gaps of later ones."""
    named = {str(i): [history(4, 0)] for i in range(12)}
    axes = plots.comparison(named, ("loss",), "All").axes[0]
    drawn = [line for line in axes.lines if str(line.get_label()) in named]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in drawn}) == 12  # type: ignore[attr-defined]
    assert len({line.get_color() for line in drawn}) == 10
    assert [line.is_dashed() for line in drawn[:5]] == [False, True, True, True, True]


def test_a_legend_fits_its_figure():
    named = {f"a long name of a network and what was done to it, {i}": [history(4, i)] for i in range(7)}
    figure = plots.comparison(named, ("accuracy", "loss"), "All")
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
