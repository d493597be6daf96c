"""A run that ended undisturbed, and one that was cut off."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cnn3 import Dataset, fit, load
from cnn3.runs import loop
from tests.helpers.tiny_experiment import few
from tests.runs.recovery.run import CONFIG


@pytest.fixture(scope="package", autouse=True)
def checkpoint_after_each_epoch() -> Iterator[None]:
    """Write a checkpoint after each epoch, as if epochs took longer than the least time between two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        yield


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return few(load("digits", limit=CONFIG.limit))


@pytest.fixture(scope="module")
def ended(digits: Dataset, quick_to_compile: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that has ended undisturbed."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    fit(CONFIG, digits, folder)
    return folder


@pytest.fixture(scope="module")
def cut_off(digits: Dataset, quick_to_compile: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was cut off in its third epoch."""
    folder = tmp_path_factory.mktemp("cut_off") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_run_epoch", interrupted(loop._run_epoch, 2))
        with pytest.raises(KeyboardInterrupt):
            fit(CONFIG, digits, folder)
    return folder


def interrupted(epoch: Callable, at: int) -> Callable:
    def until(*args: Any) -> Any:
        if args[-1] == at:
            raise KeyboardInterrupt
        return epoch(*args)

    return until
