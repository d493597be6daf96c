"""The experiment on what three convolutions reach today."""

import json
import re
from pathlib import Path

import pytest

from cnn3 import RunConfig
from cnn3.plots.scatter import MARKERS
from experiments.frontier import (
    RECIPES,
    FrontierOptions,
    changed_settings,
    config,
    describe_seeds,
    joined_points,
    joined_table,
    main,
)
from experiments.support.tables import Row
from tests.helpers import fabricated
from tests.helpers.documents import README

ROWS = ("original recipe", "one-cycle-5", "one-cycle-40")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricated.experiment(main, tmp_path_factory.mktemp("results"), "--rows", *ROWS, "--seeds", "2")


def test_the_rows_are_those_asked_for_and_the_studys_network_has_under_a_million_parameters(folder: Path) -> None:
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    assert [row["name"] for row in rows] == list(ROWS)
    assert all(row["parameters"] == 969_930 for row in rows)  # figure 2's 967,754, and 2,176 of the norms


def test_the_readme_says_how_many_rows_there_are() -> None:
    (count,) = re.findall(r"\| `frontier` \|.*\| (\d+) \|", README.read_text())
    assert int(count) == len(RECIPES)


def test_compute_is_the_steps_of_all_images_and_epochs(folder: Path) -> None:
    rows = {row["name"]: row for row in json.loads((folder / "summary.json").read_text())["rows"]}
    cells = {line[0]: line for line in fabricated.cells(folder) if line[0] in ROWS and len(line) == 8}
    for name, row in rows.items():
        expected = row["training_flops_per_image"] * 1294 * row["mean"]["epochs"] / 1e15
        assert float(cells[name][3]) == pytest.approx(expected, rel=5e-3)
    assert rows["one-cycle-5"]["mean"]["epochs"] == 5


def test_rows_have_their_own_epochs_up_to_the_options() -> None:
    epochs = {name: config(FrontierOptions(epochs=10), recipe).epochs for name, recipe in RECIPES.items()}
    assert epochs["one-cycle-5"] == 5
    assert epochs["one-cycle-40"] == epochs["original recipe"] == 10


def test_an_unknown_row_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "one-cycle-41"]) == 2
    assert "there is no row 'one-cycle-41'; choose from 'original recipe'" in capsys.readouterr().err


def test_no_row_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows"]) == 2
    assert "--rows: name at least one row" in capsys.readouterr().err


def test_each_group_of_the_figure_has_a_marker_of_its_own() -> None:
    assert len({recipe.group for recipe in RECIPES.values()}) <= len(MARKERS)


def test_the_figure_is_written(folder: Path) -> None:
    assert (folder / "accuracy_compute.png").stat().st_size > 10_000


def test_a_joined_network_costs_the_training_of_all_its_columns() -> None:
    networks = [{"accuracy": 0.875, "loss": 0.5}, {"accuracy": 0.75, "loss": 0.25}]
    extra = {"training_flops_per_image": 1e12, "images": 250, "parameters": 1000}
    run = fabricated.run(RunConfig(dataset="digits"), accuracies=8 * [0.5])
    row = Row("a row", [run], None, extra | {"joined": {"2": networks, "3": networks[:1]}})
    # 1e12 x 250 x 8 = 2e15 for each column
    assert joined_points(row) == {"2 x a row": (4, 0.8125, None), "3 x a row": (6, 0.875, None)}
    assert joined_table([row]).rows == [
        ["a row", "2", "2", "2,000", "4", "0.8125", "0.3750"],
        ["a row", "3", "1", "3,000", "6", "0.8750", "0.5000"],
    ]


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((1, 1), "1 seed."),
        ((3, 3), "3 seeds; bars: standard deviation."),
        ((1, 3, 2), "1 to 3 seeds; bars: standard deviation."),
    ],
)
def test_the_figure_says_how_many_seeds_each_row_has(counts: tuple[int, ...], sentence: str) -> None:
    assert describe_seeds(counts) == sentence


def test_the_figure_says_what_the_options_change() -> None:
    rows = ("one-cycle-5", "one-cycle-40")
    assert changed_settings(FrontierOptions(rows=rows, epochs=40)) == []
    changed = FrontierOptions(rows=rows, epochs=1, limit=256, protocol="published", precision="bf16")
    assert changed_settings(changed) == [
        "the first 256 training images only",
        "at most 1 epoch",
        "published protocol",
        "precision bfloat16",
    ]
    assert changed_settings(FrontierOptions(rows=("original recipe",), epochs=149)) == ["at most 149 epochs"]
