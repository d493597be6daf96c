"""Networks joined from runs that differ in their seeds only (`cnn3.join`), on the test images.

The logits of a joined network are the mean of its columns' log probabilities, so those of each run are enough. They are
kept in files of their own, since runs are published without their weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax

from cnn3.runs.layout import BEST
from cnn3.training.metrics import Metrics
from experiments.support.cache import cached
from experiments.support.finished_runs import UnfinishedError
from experiments.support.options import Options
from experiments.support.run import Run
from experiments.support.runner import classify_test_images


class Predictions(NamedTuple):
    """The predictions of a network for the test images."""

    log_probabilities: Float[np.ndarray, "n classes"]
    labels: Int[np.ndarray, " n"]


def predict_test_set(options: Options, folder: Path, run: Run) -> Predictions | None:
    """Return the predictions of a run's best weights, kept in a folder; None if neither they nor the weights are there.

    A published run has no weights, so in the folder its results stand for them.
    """

    def compute() -> dict[str, np.ndarray]:
        if not (run.folder / f"{BEST}.safetensors").exists():
            raise UnfinishedError(run.folder)
        test, logits = classify_test_images(options, run)
        return {"log_probabilities": log_softmax(logits, axis=1), "labels": test.labels}

    key = {"test": run.summary.test and run.summary.test._asdict()}
    try:
        return Predictions(**cached(folder, run.folder.name, key, compute))
    except UnfinishedError:
        return None


def join(runs: Sequence[Predictions], columns: int) -> list[Metrics]:
    """Return the test metrics of joined networks, each of so many runs in a row; after the last comes the first again.

    So each run is in equally many. There are as many networks as runs, but a single one of all runs. Their mean
    estimates what such a network has with other seeds; their spread does not, since they share runs.
    """
    starts = range(1 if columns == len(runs) else len(runs))
    choices = [[runs[(start + i) % len(runs)] for i in range(columns)] for start in starts]
    return [_measure(np.mean([run.log_probabilities for run in choice], 0), choice[0].labels) for choice in choices]


def _measure(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> Metrics:
    losses = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    return Metrics(float(losses.mean()), float(np.mean(logits.argmax(1) == labels)))
