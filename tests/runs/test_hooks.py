"""What `fit` calls after each epoch, and the weights that it starts from."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnn3.data.dataset import Dataset
from cnn3.data.loading import load
from cnn3.runs import loop
from cnn3.runs.fit import fit
from cnn3.runs.folder import read_history
from tests.helpers.tiny import SMALL_RUN
from tests.helpers.tiny_experiment import few

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CONFIG = replace(SMALL_RUN, epochs=3, snapshots=())
DELAY = 30.0  # seconds, more than an epoch takes


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return few(load("digits", limit=150))


def test_the_hook_takes_each_epochs_record_once_it_is_written(digits: Dataset, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []

    def hook(record: dict[str, Any]) -> None:
        assert read_history(tmp_path)[-1] == record
        records.append({**record, "validation": dict(record["validation"])})
        record["validation"]["accuracy"] = 2.0  # the run does not see it

    assert fit(CONFIG, digits, tmp_path, on_epoch=hook).history == records
    assert [record["epoch"] for record in records] == [0, 1, 2]
    fit(CONFIG, digits, tmp_path, on_epoch=hook)
    assert len(records) == 3  # nothing was trained


def test_what_the_hook_raises_ends_training_and_loses_nothing(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def hook(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise RuntimeError("pruned")

    with pytest.raises(RuntimeError, match="pruned"):
        fit(CONFIG, digits, tmp_path, on_epoch=hook)
    epochs: list[int] = []
    result = fit(CONFIG, digits, tmp_path, on_epoch=lambda record: epochs.append(record["epoch"]))
    assert epochs == [2]
    assert result.summary["epochs"] == 3


def test_the_hooks_time_is_not_the_epochs(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps in each hook; no epoch lasts that long."""
    clock, late = time.perf_counter, 0.0

    def hook(record: dict[str, Any]) -> None:
        nonlocal late
        late += DELAY

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + late)
    result = fit(CONFIG, digits, on_epoch=hook)
    assert late == 3 * DELAY
    assert all(record["seconds"] < DELAY for record in result.history)
