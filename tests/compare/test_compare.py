"""The command `python -m cnn3.compare`, on the published runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnn3 import plots
from cnn3.compare.__main__ import main
from cnn3.compare.results import draw, name_runs
from cnn3.config import RunConfig
from cnn3.runs.records import RunRecord, read_run
from cnn3.runs.result import summarize
from tests.helpers.processes import ROOT

PUBLISHED = ROOT / "docs" / "cifar10" / "runs"
RATES = [
    PUBLISHED / "batch_norm-adam-lr0.0001-batch128-corrected-seed3136-23394113ba",
    PUBLISHED / "batch_norm-adam-lr0.001-batch128-corrected-seed3136-7dd158ba29",
]
NAMES = ["optimizer.learning_rate 0.0001", "optimizer.learning_rate 0.001"]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def run(folder: str, **changes: Any) -> RunRecord:
    config = replace(RunConfig(), **changes)
    return RunRecord(Path(folder), config, [], summarize(config, [], None, None), False)


def test_the_table_has_the_numbers_of_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "rates.png"
    assert main([*map(str, RATES), "--output", str(figure)]) == 0
    heading, *rows, wrote = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "run",
        "epochs",
        "best",
        "epoch",
        "validation",
        "accuracy",
        "test",
        "accuracy",
        "images/s",
    ]
    for row, name, folder in zip(rows, NAMES, RATES, strict=True):
        expected = summary(folder)
        assert row.startswith(name)
        assert len(row) == len(heading)
        assert row.removeprefix(name).split() == [
            f"{expected['epochs']}/150",
            str(expected["best_epoch"] + 1),
            f"{expected['validation']['accuracy']:.4f}",
            f"{expected['test']['accuracy']:.4f}",
            f"{expected['images_per_second']:.0f}",
        ]
    assert wrote == f"wrote {figure}"
    with Image.open(figure) as image:
        assert image.format == "PNG"
        assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_the_figure_has_each_runs_curve() -> None:
    runs = [read_run(folder) for folder in RATES]
    axes = draw(NAMES, runs).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    for name, record in zip(NAMES, runs, strict=True):
        assert np.asarray(lines[name]).tolist() == [epoch["validation"]["accuracy"] for epoch in record.history]


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    run = read_run(RATES[0])
    plots.save(draw([r"$\x$", "b"], [run, run]), tmp_path / "a.png")  # matplotlib knows no such formula


def test_json_has_the_results_and_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*map(str, RATES), "--json", "--output", str(tmp_path / "a.png")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in printed] == NAMES
    assert [record["test_accuracy"] for record in printed] == [summary(folder)["test"]["accuracy"] for folder in RATES]
    assert [record["optimizer.learning_rate"] for record in printed] == [1e-4, 1e-3]


def test_runs_are_named_as_the_option_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*map(str, RATES), "--names", "slow", "very fast", "--output", str(tmp_path / "a.png")]) == 0
    slow, fast = capsys.readouterr().out.splitlines()[1:3]
    assert slow.startswith("slow  ")
    assert f"{summary(RATES[0])['test']['accuracy']:.4f}" in slow
    assert fast.startswith("very fast  ")


def test_a_run_in_progress_is_shown_as_far_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("begun", "new"):
        (tmp_path / name).mkdir()
        shutil.copy(RATES[0] / "config.json", tmp_path / name)
    lines = (RATES[0] / "history.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "begun" / "history.jsonl").write_text("".join(lines[:5]))
    assert main([str(tmp_path / "begun"), str(tmp_path / "new"), "--output", str(tmp_path / "a.png")]) == 0
    begun, new = capsys.readouterr().out.splitlines()[1:3]
    assert begun.split()[:2] == ["begun", "5/150"]
    assert begun.split()[4] == "-"
    assert new.split() == ["new", "0/150", "-", "-", "-", "-"]


def test_names_are_what_differs_or_else_the_folders() -> None:
    assert name_runs([run("a/x"), run("a/y", epochs=3, patience=None)]) == [
        "epochs 150, patience 10",
        "epochs 3, patience none",
    ]
    assert name_runs([run("a/x")]) == ["x"]
    assert name_runs([run("a/x"), run("a/y"), run("a/z", epochs=3)]) == ["x", "y", "z"]
    assert name_runs([run("a/x"), run("b/x")]) == ["a/x", "b/x"]
    many = {"epochs": 3, "patience": 5, "batch_size": 7, "limit": 9, "seed": 11, "ema": 0.5, "label_smoothing": 0.1}
    assert name_runs([run("a/x"), run("a/y", **many)]) == ["x", "y"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name the folder of at least one run"),
        ((str(PUBLISHED),), "config.json is missing; name the folder of a run"),
        ((str(RATES[0]), f"{RATES[0]}/"), "a run is named twice"),
        ((*map(str, RATES), "--names", "slow"), "--names must have one name for each of the 2 runs, not 1"),
        ((*map(str, RATES), "--names", "slow", "slow"), "--names has a name twice"),
        ((*map(str, RATES), "--names", "slow", "_a"), "_a begins with _, which keeps it out of the legend"),
        ((str(RATES[0]), "--output", "a.pdf"), "--output must end in .png, not a.pdf"),
        ((str(RATES[0]), "--output", "missing/a.png"), "cannot write missing/a.png"),
    ],
)
def test_errors_are_one_line(args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
