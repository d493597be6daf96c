"""Runs and epochs as flat records, judged by the files of runs."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import cnn3
from cnn3 import files
from cnn3.files import OutputError
from cnn3.runs.records import read_run
from tests.helpers.processes import ROOT

PUBLISHED = ROOT / "docs" / "cifar10" / "runs"
BASELINE = PUBLISHED / "baseline-adam-lr0.001-batch128-corrected-seed3136-41239f23d0"


def is_flat(record: dict[str, Any]) -> bool:
    return not any(isinstance(value, dict) for value in record.values())


def test_each_epoch_is_a_flat_record() -> None:
    lines = [json.loads(line) for line in (BASELINE / "history.jsonl").read_text().splitlines()]
    records = cnn3.read_epochs(BASELINE)
    assert len(records) == len(lines) == 51
    for record, line in zip(records, lines, strict=True):
        assert is_flat(record)
        assert record == {
            "epoch": line["epoch"],
            "train_loss": line["train"]["loss"],
            "train_accuracy": line["train"]["accuracy"],
            "validation_loss": line["validation"]["loss"],
            "validation_accuracy": line["validation"]["accuracy"],
            "seconds": line["seconds"],
            "images_per_second": line["images_per_second"],
        }


def test_each_run_is_a_flat_record() -> None:
    records = cnn3.read_runs(str(ROOT / "docs"))
    assert [record["folder"] for record in records] == sorted(
        str(path.parent) for path in PUBLISHED.rglob("config.json")
    )
    assert len({tuple(record) for record in records}) == 1  # one table, with the same columns
    for record in records:
        folder = Path(record["folder"])
        summary, config = (json.loads((folder / f"{name}.json").read_text()) for name in ("summary", "config"))
        assert is_flat(record)
        assert record["finished"]
        assert (record["trained_epochs"], record["best_epoch"]) == (summary["epochs"], summary["best_epoch"])
        assert record["test_accuracy"] == summary["test"]["accuracy"]
        assert record["validation_loss"] == summary["validation"]["loss"]
        versions = json.loads((folder / "versions.json").read_text())
        assert (record["cnn3"], record["code"]) == (versions["cnn3"], versions.get("code"))
        assert (record["epochs"], record["optimizer.name"]) == (config["epochs"], config["optimizer"]["name"])
        assert record["model.channels"] == tuple(config["model"]["channels"])


def test_pandas_takes_them_as_they_are() -> None:
    pandas = pytest.importorskip("pandas")
    runs = pandas.DataFrame(cnn3.read_runs(PUBLISHED))
    assert runs["test_accuracy"].max() == max(record["test_accuracy"] for record in cnn3.read_runs(PUBLISHED))
    assert pandas.DataFrame(cnn3.read_epochs(BASELINE))["epoch"].tolist() == list(range(51))


def test_a_run_that_has_not_finished_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    run.mkdir(parents=True)
    lines = (BASELINE / "history.jsonl").read_text().splitlines(keepends=True)[:3]
    shutil.copy(BASELINE / "config.json", run)
    (run / "history.jsonl").write_text("".join(lines))
    (record,) = cnn3.read_runs(tmp_path)
    accuracies = [json.loads(line)["validation"]["accuracy"] for line in lines]
    assert (record["finished"], record["trained_epochs"], record["stopped"]) == (False, 3, None)
    assert record["validation_accuracy"] == max(accuracies) == accuracies[record["best_epoch"]]
    assert record["test_accuracy"] is None
    (run / "history.jsonl").write_text("")
    assert [record["best_epoch"] for record in cnn3.read_runs(tmp_path)] == [None]
    assert cnn3.read_epochs(run) == []


def test_a_run_that_another_process_clears_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        shutil.copytree(BASELINE, tmp_path / name)
    verify = files.verify

    def verify_and_clear(folder: Path, sums: Path) -> set[str]:
        names = verify(folder, sums)
        if folder.name == "a":
            (folder / "history.jsonl").unlink()
        return names

    monkeypatch.setattr(files, "verify", verify_and_clear)
    assert [record["folder"] for record in cnn3.read_runs(tmp_path)] == [str(tmp_path / "b")]
    assert "holds no intact run: history.jsonl is missing" in caplog.text


def test_a_damaged_run_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        shutil.copytree(BASELINE, tmp_path / name)
    shutil.copytree(BASELINE, tmp_path / ".c.copy")  # interrupted
    (tmp_path / "configurations").mkdir()
    shutil.copy(BASELINE / "config.json", tmp_path / "configurations")  # no run
    history = tmp_path / "a" / "history.jsonl"
    history.write_text(history.read_text()[:-20])
    with caplog.at_level(logging.WARNING):
        assert [record["folder"] for record in cnn3.read_runs(tmp_path)] == [str(tmp_path / "b")]
    assert caplog.messages == [
        f"{tmp_path / 'a'} holds no intact run: history.jsonl is damaged: its checksum is not that in SHA256SUMS; "
        "name the folder of a run, with its config.json"
    ]
    with pytest.raises(OutputError, match=r"history\.jsonl is damaged"):
        cnn3.read_epochs(tmp_path / "a")
    with pytest.raises(OutputError, match=r"config\.json is missing; name the folder of a run"):
        read_run(tmp_path)
    with pytest.raises(OutputError, match="there is no folder"):
        cnn3.read_runs(tmp_path / "missing")
