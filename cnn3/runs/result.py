"""What a run returns: its history, summary and weights, and why and where it stopped."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cnn3.config import RunConfig
from cnn3.nn.network import CNN3
from cnn3.runs.layout import BEST, INITIAL, WEIGHTS, snapshot_name
from cnn3.training.metrics import Metrics, best_epoch, out_of_patience
from cnn3.training.state import Weights
from cnn3.weights.weight_files import load_weights

History = list[dict[str, Any]]  # a record for each epoch
EpochHook = Callable[[dict[str, Any]], object]  # takes an epoch's record


@dataclass(frozen=True)
class Result:
    """What a run leaves.

    Args:
        config: what was run.
        history: a record for each epoch: `epoch`, `train` and `validation` with `loss` and `accuracy`, `seconds`,
            `images_per_second`.
        summary: `epochs`, `best_epoch`, the `train` and `validation` metrics of the best epoch, the `test` metrics of
            its weights, `images_per_second`, `stopped` ("epochs", "patience" or "diverged") and `diverged` (None, or
            the epoch, the pass and the step).
        weights: those before training ("initial"), after each epoch of `config.snapshots` that the run reached
            ("epoch20") and after the best epoch ("best", if an epoch ended).
    """

    config: RunConfig
    history: History
    summary: dict[str, Any]
    weights: dict[str, Weights]


class Divergence(NamedTuple):
    """Where a loss was first not finite."""

    epoch: int
    during: str  # "training" or "validation"
    step: int


def validation_accuracies(history: History) -> list[float]:
    """Return the validation accuracy of each epoch."""
    return [record["validation"]["accuracy"] for record in history]


def stop_reason(config: RunConfig, history: History) -> str | None:
    """Return why a run with this history stops, or None if it continues."""
    if out_of_patience(validation_accuracies(history), config.patience):
        return "patience"
    return "epochs" if len(history) >= config.epochs else None


def kept_snapshots(config: RunConfig, history: History) -> list[int]:
    """Return the epochs of a history whose weights are kept as snapshots.

    The epoch at which patience runs out is not among them: the original program stops before it keeps any.
    """
    end = len(history) - (stop_reason(config, history) == "patience")
    return [epoch for epoch in config.snapshots if epoch < end]


def weight_names(config: RunConfig, history: History) -> list[str]:
    """Return the names of the weights that a run with this history has, in the order of training, the best last."""
    return [INITIAL, *map(snapshot_name, kept_snapshots(config, history)), *([BEST] if history else [])]


def load_run_weights(config: RunConfig, model: CNN3, path: Path, history: History) -> dict[str, Weights]:
    """Return the weights that a run with this history has left in its folder.

    Raises:
        WeightsError: they cannot be read.
    """
    return {name: load_weights(path / f"{name}{WEIGHTS}", model) for name in weight_names(config, history)}


def summarize(
    config: RunConfig, history: History, test: Metrics | None, divergence: Divergence | None
) -> dict[str, Any]:
    """Return the summary of a run, as in `Result`; of one that has not finished, what is known so far.

    Args:
        config: of the run.
        history: of its epochs.
        test: metrics of the best epoch's weights; None if they have not been measured.
        divergence: where the run diverged, if it did.
    """
    best = best_epoch(validation_accuracies(history)) if history else None
    return {
        "epochs": len(history),
        "best_epoch": best,
        "train": None if best is None else history[best]["train"],
        "validation": None if best is None else history[best]["validation"],
        "test": test and test._asdict(),
        "images_per_second": statistics.median(r["images_per_second"] for r in history) if history else None,
        "stopped": "diverged" if divergence else stop_reason(config, history),
        "diverged": divergence and divergence._asdict(),
    }
