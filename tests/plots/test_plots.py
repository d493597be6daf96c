"""Curves of training: what is drawn is what was measured, and the files are pictures."""

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from PIL import Image

from cnn3 import OutputError, plots
from tests.helpers.drawn import colors, column, history, is_round, learning, legend, lines, points, written

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
    assert written(figure) == "On what"
    assert axes.get_xlabel() == "Epoch"
    assert axes.get_ylabel() == {"accuracy": "Accuracy", "loss": "Cross entropy (nats)"}[metric]


def test_the_kept_epoch_is_the_first_of_highest_validation_accuracy_whatever_its_loss():
    records = history(5)
    for record, accuracy, loss in zip(records, (0.1, 0.7, 0.3, 0.7, 0.2), (0.9, 0.5347, 0.4, 0.3, 0.8), strict=True):
        record["validation"] = {"loss": loss, "accuracy": accuracy}
    figure = plots.curves([records], "")
    label = "kept: epoch 2 (highest validation accuracy, 0.7000), loss 0.5347"
    assert lines(panels(figure)["accuracy"])[label] == ([2], [0.7])
    assert lines(panels(figure)["loss"])[label] == ([2], [0.5347])
    assert label in legend(figure)


def test_printed_numbers_are_dashed_in_the_colour_of_their_curve():
    printed: plots.ReportedNumbers = {
        ("train", "accuracy"): plots.ReportedNumber(0.75),
        ("validation", "accuracy"): plots.ReportedNumber(0.9014),
        ("validation", "loss"): plots.ReportedNumber(0.3361),
    }
    figure = plots.curves([learning(30, 0)], "Baseline", reported=printed)
    names = {"train": TRAINING, "validation": "validation"}
    for metric, axes in panels(figure).items():
        known = {split: of.value for (split, about), of in printed.items() if about == metric}
        found = {line.get_color(): line for line in axes.lines if str(line.get_label()).startswith("_original study")}
        assert len(found) == len(known)
        for split, value in known.items():
            line = found[colors(axes)[names[split]]]
            assert points(line)[1] == [value, value]
            assert line.is_dashed()
            assert axes.get_ylim()[0] < value < axes.get_ylim()[1]
    assert [text.get_text() for text in panels(figure)["accuracy"].texts] == ["0.7500", "0.9014"]
    assert legend(figure)[-1] == "original study"
    assert "original study" not in legend(plots.curves([learning(30, 0)], ""))


def test_a_number_of_an_epoch_is_marked_there():
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
def test_ticks_are_whole_epochs_from_one_and_round_values(epochs):
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


def test_several_seeds_are_mean_and_deviation_over_the_epochs_that_all_reached():
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
    assert [of for of in values if len(of) == 6] == [
        column(runs[1], split, "accuracy") for split in ("train", "validation")
    ]
    assert written(figure) == "On what. Lines and bands: mean ± standard deviation of 3 seeds."
    assert legend(figure)[-1] == "kept epoch of each seed (highest validation accuracy)"


def test_runs_without_an_epoch_are_left_out():
    records = history(3)
    some, others = plots.curves([[], records], "x"), plots.curves([records], "x")
    assert [lines(axes) for axes in some.axes] == [lines(axes) for axes in others.axes]
    empty = plots.curves([[]], "x").axes[0]
    assert [text.get_text() for text in empty.texts] == ["no epoch ended"]


def test_figures_with_the_same_limits_can_be_compared():
    runs = [learning(20, 0), learning(9, 1), []]
    runs[0][3]["train"] = {"loss": float("nan"), "accuracy": 0.5}
    limits = plots.limits(runs, [{("validation", "accuracy"): plots.ReportedNumber(0.95)}])
    losses = [of for run in runs for split in plots.SPLITS for of in column(run, split, "loss")]
    low, high = limits["loss"]
    assert np.nanmin(losses) - 0.1 < low < np.nanmin(losses)
    assert np.nanmax(losses) < high < np.nanmax(losses) + 0.1
    assert 0.95 < limits["accuracy"][1] < 1
    for run in runs:
        figure = plots.curves([run], "", limits=limits)
        assert {metric: axes.get_ylim() for metric, axes in panels(figure).items()} == limits
    assert plots.limits([[]]) == {}


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
        assert drawn["Dense block (no epoch ended)"] == ([], [])
        assert axes.get_ylabel() == labels[metric]
        assert axes.get_title() == headings[split]
        assert len({color for name, color in colors(axes).items() if name[0] != "_"}) == len(named)
        assert is_round(axes.get_yticks())
    assert legend(figure)[:3] == ["Baseline", "Batch norm", "Dense block (no epoch ended)"]
    assert legend(figure)[3:] == ["kept epoch (highest validation accuracy)"]
    assert written(figure) == "On what"


def test_kept_epochs_are_marked_on_the_validation_curves():
    named = {"a": [learning(20, 1)], "b": [learning(30, 2), learning(25, 3)]}
    above, below = plots.comparison(named, ("loss",), "All").axes
    marks = [line for line in above.lines if line.get_label() == "_kept"]
    for line, runs in zip(marks, named.values(), strict=True):
        best = [int(np.argmax(column(run, "validation", "accuracy"))) for run in runs]
        losses = [run[epoch]["validation"]["loss"] for run, epoch in zip(runs, best, strict=True)]
        assert points(line) == ([epoch + 1 for epoch in best], losses)
    assert "_kept" not in lines(below)


@pytest.mark.parametrize("against", ["epochs", "time"])
def test_comparison_shows_printed_numbers_in_the_colour_of_their_curve(against):
    timed = [record | {"seconds": 2.0} for record in learning(20, 1)]
    numbers: dict[str, plots.ReportedNumbers] = {
        "b": {
            ("validation", "accuracy"): plots.ReportedNumber(0.95),
            ("train", "accuracy"): plots.ReportedNumber(0.31),
        },
        "c": {("validation", "accuracy"): plots.ReportedNumber(0.6, 15)},
    }
    named = {"a": [timed], "b": [timed[:10]], "c": [timed]}
    figure = plots.comparison(named, ("accuracy",), "All", x_axis=against, reported=numbers)
    for axes, value in zip(figure.axes, (0.95, 0.31), strict=True):
        (level,) = [line for line in axes.lines if line.get_label() == "_original study b"]
        assert points(level) == ([10 if against == "epochs" else 20, axes.get_xlim()[1]], [value, value])
        assert level.get_color() == colors(axes)["b"]
        assert axes.get_ylim()[0] < value < axes.get_ylim()[1]
    assert "original study" in legend(figure)
    marks = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "D"]
    if against == "epochs":
        assert list(map(points, marks)) == [([15], [0.6])]
        assert marks[0].get_color() == colors(figure.axes[0])["c"]
    else:
        assert marks == []


def test_comparison_tells_how_many_seeds():
    def said(named: dict[str, list]) -> str:
        return written(plots.comparison(named, ("loss",), "All", "On what."))

    two, three = [history(2, i) for i in range(2)], [history(2, i) for i in range(3)]
    assert said({"a": [history(2)]}) == "On what."
    assert said({"a": three, "b": three}) == "On what. Lines and bands: mean ± standard deviation of 3 seeds."
    assert said({"a": two, "b": three}) == "On what. Lines and bands: mean ± standard deviation of 2 to 3 seeds."


def test_comparison_against_time_has_each_epoch_at_its_end():
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
def test_time_is_in_a_unit_that_suits_it(seconds, unit):
    records = [record | {"seconds": seconds} for record in history(1)]
    figure = plots.comparison({"a": [records], "b": [[]]}, ("loss",), "All", x_axis="time")
    assert figure.axes[1].get_xlabel() == f"Training time ({unit})"
    assert lines(figure.axes[0])["a"][0] == [seconds / {"s": 1, "min": 60, "h": 3600}[unit]]


def test_curves_that_coincide_are_told_apart():
    """Each of twelve has another colour or dashes; through the gaps of the later ones the earlier are seen."""
    named = {str(i): [history(4, 0)] for i in range(12)}
    axes = plots.comparison(named, ("loss",), "All").axes[0]
    drawn = [line for line in axes.lines if str(line.get_label()) in named]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in drawn}) == 12  # type: ignore[attr-defined]
    assert len({line.get_color() for line in drawn}) == 10
    assert [line.is_dashed() for line in drawn[:5]] == [False, True, True, True, True]


def test_a_legend_lies_within_its_figure():
    named = {f"a long name of a network and what was done to it, {i}": [history(4, i)] for i in range(7)}
    figure = plots.comparison(named, ("accuracy", "loss"), "All")
    FigureCanvasAgg(figure).draw()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("words", ["short", "much longer words " * 20])
def test_the_head_stands_clear_above_the_panels_and_within_the_figure(words):
    figure = plots.curves([learning(9, 0)], "A title", words)
    FigureCanvasAgg(figure).draw()
    (title,) = [text for text in figure.texts if text.get_text() == "A title"]
    (subtitle,) = [text for text in figure.texts if text.get_text() != "A title"]
    above, below = title.get_window_extent(), subtitle.get_window_extent()
    assert above.y1 <= figure.bbox.y1
    assert max(above.x1, below.x1) <= figure.bbox.x1
    assert below.y1 <= above.y0 + 1
    assert all(axes.get_tightbbox().y1 <= below.y0 for axes in figure.axes)  # type: ignore[union-attr]
    assert written(figure) == words.strip()


def test_saved_figures_are_sharp_small_pictures(tmp_path):
    named = {name: [learning(150, i) for i in range(3)] for name in ("baseline", "batch norm", "dropout", "dense")}
    for name, figure in {
        "curves": plots.curves([learning(150, 0)], "Loss", "How"),
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
            found = {color for _, color in counted}
        assert _nearest(found, plots.VALIDATION) == 0
        assert _nearest(found, plots.TRAIN) == 0
        assert len(set(grid)) == 1  # grey, as it was drawn
        assert len(content) < 200_000
        plots.save(figure, path)
        assert path.read_bytes() == content


def _nearest(found: set, wanted: str) -> int:
    """Return how far the nearest colour is from a hexadecimal one, in its worst channel."""
    target = [int(wanted[i : i + 2], 16) for i in (1, 3, 5)]
    return min(max(abs(a - b) for a, b in zip(color, target, strict=True)) for color in found)


def test_an_unwritable_path_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"a\.png"):
        plots.save(plots.curves([history(1)], ""), tmp_path / "missing" / "a.png")
