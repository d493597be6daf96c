"""A finished run, and one that was interrupted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cnn3 import Dataset, fit, load
from cnn3.runs import loop
from tests.helpers.compiling import quickly_compiled
from tests.helpers.tiny_experiment import shrink
from tests.runs.recovery.run import CONFIG


@pytest.fixture(scope="package", autouse=True)
def checkpoint_after_each_epoch() -> Iterator[None]:
    """Write a checkpoint after each epoch, as if epochs took longer than the minimum time between two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        yield


@pytest.fixture(scope="package")
def digits() -> Dataset:
    return shrink(load("digits", limit=CONFIG.limit))


@pytest.fixture(scope="package")
def finished(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that finished undisturbed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with quickly_compiled():
        fit(CONFIG, digits, folder)
    return folder


@pytest.fixture(scope="package")
def interrupted(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was interrupted in its third epoch."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    with pytest.MonkeyPatch.context() as patch, quickly_compiled():
        patch.setattr(loop, "_run_epoch", raise_at(loop._run_epoch, 2))
        with pytest.raises(KeyboardInterrupt):
            fit(CONFIG, digits, folder)
    return folder


def raise_at(run_epoch: Callable, epoch: int) -> Callable:
    def wrapped(*args: Any) -> Any:
        if args[-1] == epoch:
            raise KeyboardInterrupt
        return run_epoch(*args)

    return wrapped
