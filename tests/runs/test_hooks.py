"""What `fit` calls after each epoch, and the weights that it starts from."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from cnn3.config import OptimizerConfig
from cnn3.data.dataset import Dataset
from cnn3.data.loading import load
from cnn3.files import OutputError
from cnn3.nn.network import CNN3
from cnn3.runs import loop
from cnn3.runs.fit import fit
from cnn3.runs.folder import read_history
from cnn3.runs.initial_weights import check_init
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import WeightsError
from tests.helpers.tiny import SMALL_RUN, initial_weights
from tests.helpers.tiny_experiment import shrink

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CONFIG = replace(SMALL_RUN, epochs=3, snapshots=())
DELAY = 30.0  # seconds, more than an epoch takes


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return shrink(load("digits", limit=150))


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


def constant(weights: Weights, value: float) -> Weights:
    """Return weights of these shapes, all of them the same."""
    return jax.tree.map(lambda array: np.full_like(array, value), weights)


def test_a_run_starts_from_the_given_weights(digits: Dataset, tmp_path: Path) -> None:
    """With a learning rate too small to move them, and no norm, the weights stay what was given."""
    still = replace(CONFIG, epochs=1, optimizer=OptimizerConfig("sgd", 1e-30, weight_decay=0.0))
    init = fit(replace(CONFIG, epochs=1), digits).weights["best"]
    result = fit(still, digits, tmp_path, init=init)
    for name in ("initial", "best"):
        for expected, actual in zip(
            jax.tree.leaves(init.params), jax.tree.leaves(result.weights[name].params), strict=True
        ):
            assert np.array_equal(expected, actual)
    drawn = fit(still, digits)
    assert not np.array_equal(drawn.weights["best"].params["fc1"]["kernel"], init.params["fc1"]["kernel"])
    with pytest.raises(
        OutputError, match=r"from other weights \(initial weights \w{16}, not those that its seed draws"
    ):
        fit(still, digits, tmp_path)
    with pytest.raises(OutputError, match="from other weights"):
        fit(still, digits, tmp_path, init=constant(init, 0.5))
    assert fit(still, digits, tmp_path, init=init).history == result.history


def test_an_average_starts_from_the_given_weights_too(digits: Dataset) -> None:
    config = replace(CONFIG, epochs=1, ema=0.5, optimizer=OptimizerConfig("sgd", 1e-30, weight_decay=0.0))
    init = constant(fit(config, digits).weights["initial"], 0.25)
    kept = fit(config, digits, init=init).weights["best"]
    assert all(np.array_equal(array, np.full_like(array, 0.25)) for array in jax.tree.leaves(kept.params))


def test_a_run_resumes_from_the_same_initial_weights_only(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = fit(replace(CONFIG, epochs=1), digits).weights["best"]
    undisturbed = fit(CONFIG, digits, init=init)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def cut_off(record: dict[str, Any]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(CONFIG, digits, tmp_path, init=init, on_epoch=cut_off)
    for other in (None, constant(init, 0.5)):
        with pytest.raises(OutputError, match=r"was started with initial weights \w{16}, not"):
            fit(CONFIG, digits, tmp_path, init=other)
    resumed = fit(CONFIG, digits, tmp_path, init=init)
    assert [record["validation"] for record in resumed.history] == [
        record["validation"] for record in undisturbed.history
    ]


def test_initial_weights_that_do_not_fit_are_named(digits: Dataset, tmp_path: Path) -> None:
    init = initial_weights(CNN3(CONFIG.model))
    lacking, extra, wide = (jax.tree.map(np.array, init) for _ in range(3))
    del lacking.params["fc2"]["bias"]
    extra.batch_stats["batch_norm9"] = {"mean": np.zeros(3)}
    wide.params["fc3"]["kernel"] = np.zeros((128, 7))
    cases = {
        "init lacks params.fc2.bias": lacking,
        "init has batch_stats.batch_norm9.mean, which is not part of the model": extra,
        r"init has params.fc3.kernel of shape \(128, 7\); the model needs \(128, 10\)": wide,
        "init must be cnn3.Weights, such as load_model": init._asdict(),
    }
    for message, weights in cases.items():
        with pytest.raises(WeightsError, match=message):
            check_init(CNN3(CONFIG.model), weights)
    with pytest.raises(WeightsError, match=r"init lacks params\.fc2\.bias"):
        fit(CONFIG, digits, tmp_path / "run", init=lacking)
    assert not (tmp_path / "run").exists()
