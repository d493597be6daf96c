"""Steps are reported while a compiled epoch trains them, and nothing else changes."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from cnn3 import Dataset, OptimizerConfig, RunConfig, fit, load
from cnn3.kernels import default_block
from cnn3.runs import loop
from cnn3.runs.compilation import compile_epoch
from cnn3.runs.device import to_device
from cnn3.runs.progress import ProgressCallbacks, ProgressReporter
from cnn3.runs.step_watcher import watch_steps
from cnn3.training.state import init_state, make_train_spec
from tests.helpers.tiny import SMALL_RUN, TINY
from tests.helpers.tiny_experiment import shrink

pytestmark = [
    pytest.mark.usefixtures("quick_to_compile"),
    pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere steps are not watched"),
]

CONFIG = dataclasses.replace(SMALL_RUN, model=TINY, limit=1000)
STEPS = 16  # of an epoch


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return shrink(load("digits", limit=CONFIG.limit))


def is_progress(reported: list[tuple[int, int]]) -> bool:
    """Whether an epoch's steps were reported in order; a busy machine may miss some."""
    done = [step for step, _ in reported]
    return done == sorted(done) and {0, STEPS} < set(done) and len(set(done)) > STEPS // 2 and len(done) <= STEPS + 2


@pytest.mark.whole
@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "muon"])
def test_steps_are_reported_with_every_optimizer(name: str, digits: Dataset) -> None:
    config = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(name, 1e-3))
    spec, device = make_train_spec(config, default_block()), to_device(config, digits)
    train_epoch = compile_epoch(spec, len(digits.train.labels))
    state = init_state(spec, device.seed)
    for epoch in range(2):
        seen: list[tuple[int, int]] = []
        with watch_steps(state, STEPS, lambda *step, seen=seen: seen.append(step)):
            index = jax.device_put(np.int32(epoch))
            result = train_epoch(state, device.hyper, *device.train, device.seed, index)
            state, _ = jax.block_until_ready(result)
        assert is_progress(seen), seen


def recorder(epochs: list[list[tuple[int, int]]]) -> ProgressReporter:
    """Return a reporter that appends each reported step to the last of these lists, and a new list after each epoch."""

    @contextmanager
    def show(*_: Any) -> Iterator[ProgressCallbacks]:
        yield ProgressCallbacks(lambda _: epochs.append([]), lambda *step: epochs[-1].append(step))

    return show


TIMES = ("seconds", "images_per_second")


def timeless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name not in TIMES} for record in records]


def test_watching_changes_no_bit_and_continues_after_an_interruption(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: RunConfig = dataclasses.replace(CONFIG, epochs=3)
    alone = fit(config, digits, tmp_path / "alone")
    epochs: list[list[tuple[int, int]]] = [[]]
    record = recorder(epochs)
    run_epoch = loop._run_epoch

    def interrupted(*args: Any) -> Any:
        if args[-1] == 2:
            raise InterruptedError
        return run_epoch(*args)

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_run_epoch", interrupted)
    with pytest.raises(InterruptedError):
        fit(config, digits, tmp_path / "watched", label="a run", reporter=record)
    monkeypatch.setattr(loop, "_run_epoch", run_epoch)
    watched = fit(config, digits, tmp_path / "watched", label="a run", reporter=record)
    *finished, current = epochs
    assert len(finished) == 3
    assert all(map(is_progress, finished)), finished
    assert current == []
    assert timeless(watched.history) == timeless(alone.history)
    for name in ("initial", "best"):
        files = [tmp_path / folder / f"{name}.safetensors" for folder in ("alone", "watched")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert json.loads((tmp_path / "watched" / "summary.json").read_text())["test"] == alone.summary["test"]
