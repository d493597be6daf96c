"""The experiment on learning rate and batch size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cnn3 import VARIANTS, ModelConfig, OptimizerConfig, RunConfig
from cnn3.training.metrics import Metrics
from experiments.hyperparameters import (
    GRID,
    config,
    grid_table,
    main,
    make_figures,
    notes,
    select,
    selected_table,
)
from experiments.support.options import Options
from experiments.support.reported import setting_name
from experiments.support.runner import run_all
from tests.helpers import fabricated
from tests.helpers.compilations import count_compilations
from tests.helpers.drawn import figure_subtitle, legend, lines

CIFAR10, DIGITS = Options(), Options(dataset="digits", epochs=1, limit=256)
TUNED = (0.0001, 64)


def grid(accuracies: dict, options: Options = CIFAR10) -> dict:
    """Return fabricated runs by setting, with these best accuracies, one for each seed; 0.5 by default."""
    return {
        setting: [
            fabricated.run(config(options, setting), [0.1, accuracy] if accuracy else [])
            for accuracy in accuracies.get(setting, [0.5])
        ]
        for setting in GRID
    }


def test_the_grid_is_that_of_figure_15_and_shares_runs_with_other_experiments():
    configs = {setting: config(CIFAR10, setting) for setting in GRID}
    assert len(set(configs.values())) == 9
    for (rate, size), cell in configs.items():
        assert cell.model == VARIANTS["batch_norm"]
        assert cell.optimizer == OptimizerConfig("adam", rate, weight_decay=3e-4)
        assert cell.batch_size == size
    assert configs[TUNED] == CIFAR10.tuned()
    assert configs[0.001, 128] == CIFAR10.config(model=VARIANTS["batch_norm"])
    assert all(cell.snapshots == (20,) for setting, cell in configs.items() if setting != TUNED)


def test_the_highest_mean_validation_accuracy_is_selected():
    assert select(grid({(0.001, 128): [0.6], (0.0001, 64): [0.7]})) == (0.0001, 64)
    assert select(grid({(0.001, 128): [0.9, 0.1], (0.0001, 64): [0.6, 0.6]})) == (0.0001, 64)
    assert select(grid({(0.001, 128): [0.8], (0.0001, 64): [0.8]})) == (0.001, 128)
    assert select(grid({(0.001, 128): [0.9, None], (0.0001, 64): [0.6]})) == (0.0001, 64)
    assert select(grid({setting: [None] for setting in GRID})) is None


def test_the_test_set_plays_no_part_in_the_selection():
    runs = grid({(0.001, 128): [0.7], (0.0001, 64): [0.6]})
    (run,) = runs[0.0001, 64]
    runs[0.0001, 64] = [run._replace(summary=run.summary._replace(test=Metrics(0.01, 0.99)))]
    assert select(runs) == (0.001, 128)


def test_validation_accuracies_are_compared_with_figure_15():
    table = grid_table(CIFAR10, grid({(0.01, 64): [0.6], (0.0001, 256): [0.7, 0.9], (0.001, 128): [None]}))
    assert table.header[1:4] == [f"batch size 64, {column}" for column in ("original study", "made comparable", "ours")]
    assert table.rows == [
        ["0.01", "0.6519", "0.6592", "0.6000", "0.6871", "0.7036", "0.5000", "0.7131", "0.7302", "0.5000"],
        ["0.001", "0.8160", "0.8252", "0.5000", "0.8142", "0.8338", "-", "0.8207", "0.8404", "0.5000"],
        ["0.0001", "0.8346", "0.8440", "0.5000", "0.8226", "0.8424", "0.5000", "0.8173", "0.8370", "0.8000 ± 0.1414"],
    ]
    assert grid_table(DIGITS, grid({})).header == ["learning rate", *(f"batch size {size}" for size in (64, 128, 256))]


def test_the_selected_setting_is_compared_with_the_original_one():
    original_lines = [
        ["original study", "0.0001", "64", "0.8346", "0.8339", "0.4666"],
        ["original study, made comparable", "0.0001", "64", "0.8440", "0.8379 to 0.8380", "-"],
    ]
    same_selection = grid({TUNED: [0.8]})
    assert selected_table(CIFAR10, same_selection, TUNED).rows == [
        *original_lines,
        ["selected here", "0.0001", "64", "0.8000", "0.7900", "0.2100"],
    ]
    other_selection = grid({(0.01, 256): [0.8]})
    assert selected_table(CIFAR10, other_selection, (0.01, 256)).rows == [
        *original_lines,
        ["the original study's selection, trained here", "0.0001", "64", "0.5000", "0.4900", "0.5100"],
        ["selected here", "0.01", "256", "0.8000", "0.7900", "0.2100"],
    ]
    assert len(selected_table(DIGITS, other_selection, (0.01, 256)).rows) == 1
    no_selection = selected_table(DIGITS, grid({setting: [None] for setting in GRID}), None)
    assert no_selection.rows == [["selected here: none, all diverged", *["-"] * 5]]


def test_the_heat_map_shows_our_grid_and_the_original_one():
    figures = make_figures(CIFAR10, grid({TUNED: [0.8], (0.01, 64): [None]}), TUNED)
    assert set(figures) == {"heatmap.png", "curves_selected.png"}
    ours, original, difference, *_ = figures["heatmap.png"].axes
    numbers = [[text.get_text() for text in axes.texts] for axes in (ours, original)]
    assert numbers[0] == ["-", *["0.5000"] * 5, "0.8000", "0.5000", "0.5000"]
    # Figure 15 prints 0.6519 of 5,056, 0.6871 of 5,120 and so on; these are the accuracies of 5,000 images.
    assert " ".join(numbers[1]) == "0.6592 0.7036 0.7302 0.8252 0.8338 0.8404 0.8440 0.8424 0.8370"
    points = ["-", *(100 * (0.5 - accuracy) for accuracy in (0.7036, 0.7302, 0.8252, 0.8338, 0.8404)), -4.40]
    shown = [text.get_text() for text in difference.texts][:7]
    assert shown == ["-", *(f"{value:+.1f}" for value in points[1:])]  # type: ignore[str-format]
    assert "45,000 images of CIFAR-10 for at most 150 epochs" in figure_subtitle(figures["heatmap.png"])
    assert len(make_figures(DIGITS, grid({}), TUNED)["heatmap.png"].axes) == 2  # one grid and the scale
    assert set(make_figures(DIGITS, grid({setting: [None] for setting in GRID}), None)) == {"heatmap.png"}


def test_the_curves_of_the_selected_setting_show_its_original_number():
    for setting, number in ((TUNED, 0.8440), ((0.001, 256), 0.8404)):
        figure = make_figures(CIFAR10, grid({setting: [0.84]}), setting)["curves_selected.png"]
        rate, size = setting
        assert figure.get_suptitle().startswith(f"Selected: learning rate {rate:g}, batch size {size} on CIFAR-10")
        assert lines(figure.axes[0])["_original study validation"][1] == [number, number]
    figure = make_figures(DIGITS, grid({TUNED: [0.84]}, DIGITS), TUNED)["curves_selected.png"]
    assert "original study" not in legend(figure)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return fabricated.experiment(main, tmp_path_factory.mktemp("results"), "--epochs", "20", "--seeds", "2")


def test_all_files_are_written_and_agree(folder):
    names = {"summary.json", "table.md", "heatmap.png", "curves_selected.png"}
    assert {path.name for path in folder.iterdir()} == names
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["name"] for row in summary["rows"]] == [setting_name(*setting) for setting in GRID]
    assert {row["reported"] for row in summary["rows"]} == {None}
    means = {}
    for row, (rate, size) in zip(summary["rows"], GRID, strict=True):
        cell = RunConfig.from_json(json.dumps(row["config"]))
        assert (cell.optimizer.learning_rate, cell.batch_size) == (rate, size)
        means[rate, size] = sum(seed["validation"]["accuracy"] for seed in row["seeds"]) / 2
        assert row["mean"]["validation"]["accuracy"] == pytest.approx(means[rate, size], rel=1e-12)
    cells = fabricated.cells(folder)
    for rate in (0.01, 0.001, 0.0001):
        line = next(line for line in cells if line[0] == f"{rate:g}")
        assert [cell.split(" ± ")[0] for cell in line[1:]] == [f"{means[rate, size]:.4f}" for size in (64, 128, 256)]
    selected = next(line for line in cells if line[0] == "selected here")
    rate, size = max(means, key=means.__getitem__)
    assert selected[1:3] == [f"{rate:g}", str(size)]
    text = (folder / "table.md").read_text()
    assert "original study" not in text
    assert "2 seeds (3136 to 3137)" in text


def test_notes_on_cifar10_explain_the_original_numbers():
    assert "figure 15" in notes(CIFAR10)[-1]
    assert "protocol published" in notes(CIFAR10)[-2]


def test_a_limit_below_the_largest_batch_is_refused_before_training(tmp_path, capsys):
    assert main(["--dataset", "digits", "--limit", "255", "--output", str(tmp_path)]) == 2
    assert "limit must be at least 256, a batch of learning rate 0.01, batch size 256" in capsys.readouterr().err


@pytest.mark.whole
def test_a_sweep_of_learning_rates_at_one_batch_size_compiles_the_epoch_once(tmp_path, quick_to_compile):
    options = replace(DIGITS, output=tmp_path, limit=256)
    tiny = ModelConfig(batch_norm=True, channels=(2, 3, 2), hidden=(128,))  # used in no other test, so not yet compiled
    sweep = {
        setting_name(*setting): replace(config(options, setting), model=tiny) for setting in GRID if setting[1] == 128
    }
    first, *others = sweep.items()
    with count_compilations() as compilations:
        run_all(options, "trial", dict([first]))
    assert compilations.count("jit(train_epoch)") == 1
    with count_compilations() as compilations:
        runs = run_all(options, "trial", dict(others))
    assert compilations == []
    losses = {seeds[0].history[0]["train"]["loss"] for seeds in runs.values()}
    assert len(losses) == 2  # the learning rates did take effect
