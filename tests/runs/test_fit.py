"""Whole runs on real images: repeated, interrupted, stopped early, with the weights that the original study keeps."""

import dataclasses
import json
import logging
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chex
import numpy as np
import pytest

import cnn3
from cnn3.config import ConfigError, OptimizerConfig, ScheduleConfig
from cnn3.data.dataset import Dataset, Split
from cnn3.data.loading import load
from cnn3.files import OutputError
from cnn3.runs import loop
from cnn3.runs.fit import fit
from cnn3.runs.folder import RunFolder
from cnn3.training.state import make_train_spec
from tests.helpers.processes import python
from tests.helpers.tiny import SMALL_RUN
from tests.helpers.tiny_experiment import shrink

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CONFIG = dataclasses.replace(SMALL_RUN, epochs=3, snapshots=(2,))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return shrink(load("digits", limit=150))


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in ("seconds", "images_per_second")} for record in history]


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_the_same_run_twice_gives_the_same_bits(digits: Dataset, tmp_path: Path) -> None:
    on_disk, in_memory = fit(CONFIG, digits, tmp_path / "run"), fit(CONFIG, digits)
    assert timeless(read(tmp_path / "run")) == timeless(on_disk.history) == timeless(in_memory.history)
    assert set(on_disk.weights) == {"initial", "epoch2", "best"}
    chex.assert_trees_all_equal(on_disk.weights, in_memory.weights)
    assert on_disk.summary["test"] == in_memory.summary["test"]
    other = fit(dataclasses.replace(CONFIG, seed=1), shrink(load("digits", limit=150, seed=1)))
    assert timeless(other.history) != timeless(in_memory.history)


def test_a_finished_run_is_read_and_not_trained(digits: Dataset, tmp_path: Path, monkeypatch: Any) -> None:
    first = fit(CONFIG, digits, tmp_path)
    monkeypatch.setattr(loop, "_run_epoch", None)
    second = fit(CONFIG, digits, tmp_path)
    assert (first.history, first.summary) == (second.history, second.summary)
    chex.assert_trees_all_equal(first.weights, second.weights)
    assert not (tmp_path / "checkpoints").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from cnn3.config import RunConfig
from cnn3.data.loading import load
from cnn3.runs import loop
from cnn3.runs.fit import fit
from tests.helpers.tiny_experiment import shrink
folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
run_epoch = loop._run_epoch
def killed(*args):
    if args[-1] == epochs:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_epoch(*args)
loop._run_epoch, loop.CHECKPOINT_SECONDS = killed, 0.0
fit(RunConfig.from_json((folder / "config.json").read_text()), shrink(load("digits", limit=150)), folder / "run")
"""


@pytest.mark.whole
def test_a_killed_run_resumes_as_if_never_killed(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(CONFIG.to_json())
    for epochs in (1, 2):
        process = python("-c", KILLED, str(tmp_path), str(epochs))
        assert process.returncode == -signal.SIGKILL
        assert len(read(tmp_path / "run")) == epochs
    resumed, undisturbed = fit(CONFIG, digits, tmp_path / "run"), fit(CONFIG, digits)
    assert timeless(read(tmp_path / "run")) == timeless(resumed.history) == timeless(undisturbed.history)
    chex.assert_trees_all_equal(resumed.weights, undisturbed.weights)
    assert resumed.summary["test"] == undisturbed.summary["test"]


def test_checkpoints_are_at_least_ten_seconds_apart(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is written after the first epoch, so a kill loses at most epochs of the last ten seconds."""
    saved: list[int] = []
    monkeypatch.setattr(RunFolder, "save", lambda self, state, history, kept: saved.append(len(history)))
    now = 0.0

    def pass_time(seconds: float) -> float:
        nonlocal now
        now += seconds
        return now

    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: pass_time(0.001)))
    fit(dataclasses.replace(CONFIG, epochs=9, patience=None), digits, tmp_path, on_epoch=lambda _: pass_time(4))
    assert saved == [1, 4, 7, 9]  # the last one ends the run


def test_the_history_grows_with_each_epoch(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(RunFolder, "save", lambda self, state, history, kept: None)
    epoch = loop._run_epoch
    monkeypatch.setattr(loop, "_run_epoch", lambda *args: lengths.append(len(read(tmp_path))) or epoch(*args))
    fit(CONFIG, digits, tmp_path)
    assert lengths == [0, 1, 2]


def fake_accuracies(monkeypatch: Any, accuracies: list[float]) -> None:
    """Replace the measured validation accuracies of runs by these."""
    real = loop._run_epoch

    def epoch(*args: Any) -> Any:
        state, record, diverged = real(*args)
        record["validation"]["accuracy"] = accuracies[record["epoch"]]
        return state, record, diverged

    monkeypatch.setattr(loop, "_run_epoch", epoch)


@pytest.mark.parametrize(
    ("accuracies", "epochs", "best", "stopped", "kept"),
    [
        ([0.5, 0.6, 0.6, 0.55, 0.9], 4, 1, "patience", {"initial", "epoch2", "best"}),
        ([0.5, 0.4, 0.3, 0.9, 0.9], 3, 0, "patience", {"initial", "best"}),  # stops before the snapshot of epoch 2
        ([0.1, 0.2, 0.3, 0.4, 0.5], 5, 4, "epochs", {"initial", "epoch2", "best"}),
    ],
)
def test_early_stopping_and_kept_weights_are_those_of_the_original_study(
    digits: Dataset, monkeypatch: Any, accuracies: list[float], epochs: int, best: int, stopped: str, kept: set[str]
) -> None:
    fake_accuracies(monkeypatch, accuracies)
    result = fit(dataclasses.replace(CONFIG, epochs=5, patience=2), digits)
    assert (result.summary["epochs"], result.summary["best_epoch"], result.summary["stopped"]) == (
        epochs,
        best,
        stopped,
    )
    assert set(result.weights) == kept
    assert result.summary["validation"]["accuracy"] == max(accuracies[:epochs])


def test_the_test_set_is_measured_with_the_best_weights(digits: Dataset, monkeypatch: Any) -> None:
    fake_accuracies(monkeypatch, [0.1, 0.9, 0.2, 0.3])
    result = fit(dataclasses.replace(CONFIG, snapshots=(1, 2)), digits)
    best, last = (result.weights[name].params["fc1"]["kernel"] for name in ("best", "epoch2"))
    chex.assert_trees_all_equal(result.weights["best"], result.weights["epoch1"])
    assert not np.array_equal(best, last)
    model = make_train_spec(CONFIG, cnn3.default_block()).model
    output = cnn3.predict(model, 64, result.weights["best"], digits.test.images)
    accuracy = np.mean(np.argmax(output.logits, -1) == digits.test.labels)
    assert result.summary["test"]["accuracy"] == pytest.approx(accuracy)
    assert set(result.weights) == {"initial", "epoch1", "epoch2", "best"}


@pytest.mark.parametrize("rate", [1e30])
def test_a_loss_that_is_not_finite_ends_the_run_and_is_located(digits: Dataset, tmp_path: Path, rate: float) -> None:
    config = dataclasses.replace(CONFIG, optimizer=OptimizerConfig("sgd", rate, weight_decay=0.0))
    result = fit(config, digits, tmp_path)
    assert result.summary["stopped"] == "diverged"
    assert result.summary["diverged"] == {"epoch": 0, "during": "training", "step": 1}
    assert result.summary["test"] is None
    assert fit(config, digits, tmp_path).summary == result.summary


def test_a_run_without_hold_out_trains_on_the_validation_images_too(digits: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, patience=None, hold_out=False)
    joined = [np.concatenate(arrays) for arrays in zip(digits.train, digits.validation, strict=True)]
    by_hand = dataclasses.replace(digits, train=Split(*joined), identity=None)
    expected = fit(dataclasses.replace(config, hold_out=True, limit=None), by_hand)
    result = fit(config, digits, tmp_path)
    assert timeless(result.history) == timeless(expected.history)
    chex.assert_trees_all_equal(result.weights, expected.weights)
    with pytest.raises(ConfigError, match="patience must be none where no images are held out"):
        dataclasses.replace(config, patience=3)


def test_impossible_runs_are_refused_before_anything_is_written(digits: Dataset, tmp_path: Path) -> None:
    cases = {
        "batch_size must be at most 150": {"batch_size": 151},
        "leaves one image for the last batch": {"batch_size": 149},
        "limit is 100": {"limit": 100},
        "dataset is 'cifar10'": {"dataset": "cifar10"},
        "schedule.warmup must leave at least one of the .* steps, which 0.99 does not": {
            "schedule": ScheduleConfig("cosine", 0.99)
        },
    }
    for message, change in cases.items():
        with pytest.raises(ConfigError, match=message):
            fit(dataclasses.replace(CONFIG, **change), digits, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_refused(digits: Dataset, tmp_path: Path) -> None:
    absl = logging.getLogger("absl")
    before = absl.level, list(absl.filters)
    fit(dataclasses.replace(CONFIG, epochs=1), digits, tmp_path)
    assert (absl.level, absl.filters) == before  # the logger of Orbax
    with pytest.raises(OutputError, match="another run"):
        fit(CONFIG, digits, tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(digits: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write to .*file/run"):
        fit(CONFIG, digits, tmp_path / "file" / "run")
