"""Runs that were never trained, for what is done with a run's numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from cnn3 import Dataset, Result, RunConfig
from cnn3.runs.versions import current_versions
from cnn3.training.metrics import best_epoch, out_of_patience
from experiments.support import runner as common
from experiments.support.runner import Run

SECONDS = 2.0  # an epoch
IMAGES_PER_SECOND = 500.0


def history(accuracies: Sequence[float], seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Return a history of these validation accuracies."""
    return [
        {
            "epoch": epoch,
            "train": {"loss": 2.0 - accuracy, "accuracy": accuracy / 2},
            "validation": {"loss": 1.0 - accuracy, "accuracy": accuracy},
            "seconds": seconds,
            "images_per_second": IMAGES_PER_SECOND,
        }
        for epoch, accuracy in enumerate(accuracies)
    ]


def run(config: RunConfig, accuracies: Sequence[float]) -> Run:
    """Return a run of these validation accuracies, diverged at once if there are none; test is a hundredth less."""
    records = history(accuracies)
    best = best_epoch(accuracies) if records else None
    stopped = "patience" if out_of_patience(accuracies, config.patience) else "epochs"
    summary = {
        "epochs": len(records),
        "best_epoch": best,
        "train": None if best is None else records[best]["train"],
        "validation": None if best is None else records[best]["validation"],
        "test": None if best is None else {"loss": 1.01 - accuracies[best], "accuracy": accuracies[best] - 0.01},
        "images_per_second": IMAGES_PER_SECOND if records else None,
        "stopped": stopped if records else "diverged",
        "diverged": None if records else {"epoch": 0, "during": "training", "step": 1},
    }
    return Run(config, Path("nowhere"), records, summary, current_versions(config))


def learning(config: RunConfig) -> list[float]:
    """Return validation accuracies as training makes them: quick at first, then level, with noise by configuration."""
    noise = np.random.default_rng(int(config.digest(), 16))
    level = noise.uniform(0.5, 0.85)
    accuracies: list[float] = []
    while len(accuracies) < config.epochs and not out_of_patience(accuracies, config.patience):
        accuracies.append(float(level * (1 - np.exp(-(len(accuracies) + 1) / 12)) + noise.normal(0, 0.006)))
    return accuracies


def fit(config: RunConfig, dataset: Dataset, folder: Path, *, label: str, wait: bool, reuse: str) -> Result:
    """Stand in for `cnn3.fit` without training anything."""
    done = run(config, learning(config))
    return Result(config, done.history, done.summary, {})


def experiment(main: Callable[[Sequence[str]], int], output: Path, *args: str) -> Path:
    """Do an experiment on digits with runs that are never trained, and return its output folder."""
    with patch.object(common, "fit", fit):
        assert main(["--dataset", "digits", "--output", str(output), *args]) == 0
    (folder,) = {path.parent for path in output.glob("digits/*/table.md")}
    return folder


def cells(folder: Path) -> list[list[str]]:
    """Return the lines of the tables that an experiment has written, by cell."""
    lines = (folder / "table.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
