"""Curves of one configuration: what is drawn is what was measured."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure

from cnn3 import plots
from tests.helpers.drawn import colors, column, figure_subtitle, history, is_round, learning, legend, lines, points

TRAINING = "training (augmented images, measured while training)"


def panels(figure: Figure) -> dict[str, Axes]:
    """Return the panels of a figure of curves by metric."""
    return dict(zip(("accuracy", "loss"), figure.axes, strict=True))


@pytest.mark.parametrize("metric", plots.METRICS)
@pytest.mark.parametrize("epochs", [1, 2, 150])
def test_curves_are_the_history(metric, epochs):
    records = history(epochs)
    figure = plots.curves([records], "Baseline", "On what")
    axes = panels(figure)[metric]
    drawn = lines(axes)
    numbers = list(range(1, epochs + 1))
    assert drawn[TRAINING] == (numbers, column(records, "train", metric))
    assert drawn["validation"] == (numbers, column(records, "validation", metric))
    assert figure.get_suptitle() == "Baseline"
    assert figure_subtitle(figure) == "On what"
    assert axes.get_xlabel() == "Epoch"
    assert axes.get_ylabel() == {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}[metric]


def test_the_kept_epoch_is_the_first_with_the_highest_validation_accuracy():
    records = history(5)
    for record, accuracy, loss in zip(records, (0.1, 0.7, 0.3, 0.7, 0.2), (0.9, 0.5347, 0.4, 0.3, 0.8), strict=True):
        record["validation"] = {"loss": loss, "accuracy": accuracy}
    figure = plots.curves([records], "")
    label = "kept: epoch 2 (highest validation accuracy, 0.7000), loss 0.5347"
    assert lines(panels(figure)["accuracy"])[label] == ([2], [0.7])
    assert lines(panels(figure)["loss"])[label] == ([2], [0.5347])
    assert label in legend(figure)


def test_reported_numbers_are_dashed_lines_in_the_colour_of_their_curve():
    printed: plots.ReportedNumbers = {
        ("train", "accuracy"): plots.ReportedNumber(0.75),
        ("validation", "accuracy"): plots.ReportedNumber(0.9014),
        ("validation", "loss"): plots.ReportedNumber(0.3361),
    }
    figure = plots.curves([learning(30, 0)], "Baseline", reported=printed)
    names = {"train": TRAINING, "validation": "validation"}
    for metric, axes in panels(figure).items():
        values = {split: number.value for (split, name), number in printed.items() if name == metric}
        drawn = {line.get_color(): line for line in axes.lines if str(line.get_label()).startswith("_original study")}
        assert len(drawn) == len(values)
        for split, value in values.items():
            line = drawn[colors(axes)[names[split]]]
            assert points(line)[1] == [value, value]
            assert line.is_dashed()
            assert axes.get_ylim()[0] < value < axes.get_ylim()[1]
    assert [text.get_text() for text in panels(figure)["accuracy"].texts] == ["0.7500", "0.9014"]
    assert legend(figure)[-1] == "original study"
    assert "original study" not in legend(plots.curves([learning(30, 0)], ""))


def test_a_number_reported_at_an_epoch_is_marked_there():
    figure = plots.curves(
        [learning(30, 0)], "SGD", reported={("validation", "accuracy"): plots.ReportedNumber(0.63, 40)}
    )
    axes = panels(figure)["accuracy"]
    (mark,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert points(mark) == ([40], [0.63])
    assert mark.get_color() == plots.VALIDATION
    assert axes.get_xlim()[1] > 40
    assert legend(figure)[-1] == "original study: about 0.63 at epoch 40"


@pytest.mark.parametrize("epochs", [1, 2, 3, 9, 71, 150])
def test_ticks_are_epochs_counted_from_one_and_round_values(epochs):
    figure = plots.curves([learning(epochs, 0)], "")
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) and 1 <= tick <= epochs for tick in ticks)
        assert low < 1
        assert high > epochs
        assert is_round(axes.get_yticks())


def test_several_seeds_are_drawn_as_mean_and_deviation_over_their_common_epochs():
    runs = [history(4, 1), history(6, 2), history(5, 3)]
    figure = plots.curves(runs, "Dense", "On what.")
    axes = panels(figure)["accuracy"]
    stack = np.array([column(run[:4], "validation", "accuracy") for run in runs])
    numbers, mean = lines(axes)["validation"]
    assert numbers == [1, 2, 3, 4]
    np.testing.assert_allclose(mean, np.mean(stack, 0), rtol=1e-12)
    band = [c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)][1].get_paths()[0].vertices
    edges = [sorted({y for x, y in np.asarray(band) if x == epoch}) for epoch in (1, 2, 3, 4)]
    expected = np.mean(stack, 0) + np.outer([-1, 1], np.std(stack, 0, ddof=1))
    np.testing.assert_allclose([[low[0], low[-1]] for low in edges], expected.T, rtol=1e-12)
    values = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
    assert [heights for heights in values if len(heights) == 6] == [
        column(runs[1], split, "accuracy") for split in ("train", "validation")
    ]
    assert figure_subtitle(figure) == "On what. Lines and bands: mean ± standard deviation of 3 seeds."
    assert legend(figure)[-1] == "kept epoch of each seed (highest validation accuracy)"


def test_runs_without_an_epoch_are_left_out():
    records = history(3)
    with_empty, without = plots.curves([[], records], "x"), plots.curves([records], "x")
    assert [lines(axes) for axes in with_empty.axes] == [lines(axes) for axes in without.axes]
    empty = plots.curves([[]], "x").axes[0]
    assert [text.get_text() for text in empty.texts] == ["no epoch finished"]


def test_figures_with_the_same_limits_can_be_compared():
    runs = [learning(20, 0), learning(9, 1), []]
    runs[0][3]["train"] = {"loss": float("nan"), "accuracy": 0.5}
    limits = plots.limits(runs, [{("validation", "accuracy"): plots.ReportedNumber(0.95)}])
    losses = [loss for run in runs for split in plots.SPLITS for loss in column(run, split, "loss")]
    low, high = limits["loss"]
    assert np.nanmin(losses) - 0.1 < low < np.nanmin(losses)
    assert np.nanmax(losses) < high < np.nanmax(losses) + 0.1
    assert 0.95 < limits["accuracy"][1] < 1
    for run in runs:
        figure = plots.curves([run], "", limits=limits)
        assert {metric: axes.get_ylim() for metric, axes in panels(figure).items()} == limits
    assert plots.limits([[]]) == {}
