"""Fabricated runs, for tests of code that uses the results of runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from cnn3 import Dataset, Result, RunConfig
from cnn3.runs.result import Divergence, summarize
from cnn3.runs.versions import current_versions
from cnn3.training.metrics import Metrics, out_of_patience
from experiments.support import runner
from experiments.support.run import Run, RunSummary

SECONDS = 2.0  # an epoch
IMAGES_PER_SECOND = 500.0


def history(accuracies: Sequence[float], seconds: float = SECONDS) -> list[dict[str, Any]]:
    """Return a history with these validation accuracies."""
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


def summary(config: RunConfig, records: list[dict[str, Any]], test: Metrics | None) -> dict[str, Any]:
    """Return the summary that `cnn3.fit` makes of a history; without records the run diverged in its first epoch."""
    diverged = None if records else Divergence(0, "training", 1)
    return summarize(replace(config, epochs=max(len(records), 1)), records, test, diverged)


def run(config: RunConfig, accuracies: Sequence[float]) -> Run:
    """Return a run with these validation accuracies, diverged in its first epoch if none; test is 0.01 lower."""
    records = history(accuracies)
    test = Metrics(1.01 - max(accuracies), max(accuracies) - 0.01) if records else None
    outcome = RunSummary.from_dict(summary(config, records, test))
    return Run(config, Path("nowhere"), records, outcome, current_versions(config))


def learning_curve(config: RunConfig) -> list[float]:
    """Return validation accuracies as in training: steep, then level, with noise that depends on the configuration."""
    noise = np.random.default_rng(int(config.digest(), 16))
    level = noise.uniform(0.5, 0.85)
    accuracies: list[float] = []
    while len(accuracies) < config.epochs and not out_of_patience(accuracies, config.patience):
        accuracies.append(float(level * (1 - np.exp(-(len(accuracies) + 1) / 12)) + noise.normal(0, 0.006)))
    return accuracies


def fit(config: RunConfig, dataset: Dataset, folder: Path, *, label: str, wait: bool, reuse: str) -> Result:
    """Return a fabricated result in place of `cnn3.fit`."""
    fabricated = run(config, learning_curve(config))
    return Result(config, fabricated.history, fabricated.summary.to_dict(), {})


def experiment(main: Callable[[Sequence[str]], int], output: Path, *args: str) -> Path:
    """Run an experiment on digits without training, and return its output folder."""
    with patch.object(runner, "fit", fit):
        assert main(["--dataset", "digits", "--output", str(output), *args]) == 0
    (folder,) = {path.parent for path in output.glob("digits/*/table.md")}
    return folder


def cells(folder: Path) -> list[list[str]]:
    """Return the cells of each table row that an experiment has written."""
    lines = (folder / "table.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
