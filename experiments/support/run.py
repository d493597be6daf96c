"""Finished runs, as tables, figures and verdicts use them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cnn3 import RunConfig
from cnn3.runs.result import Divergence, validation_accuracies
from cnn3.runs.versions import Versions
from cnn3.training.metrics import Metrics

StopReason = Literal["epochs", "patience", "diverged"]
SPLITS, METRICS = ("train", "validation", "test"), ("loss", "accuracy")


class RunSummary(NamedTuple):
    """The outcome of a run, as `cnn3.fit` summarises it.

    Args:
        epochs: the number of finished epochs.
        best_epoch: the index of the epoch with the highest validation accuracy. Like the metrics and the speed, it is
            None if the run diverged in its first epoch.
        train: the training metrics of the best epoch.
        validation: the validation metrics of the best epoch.
        test: the test metrics of the best epoch's weights.
        images_per_second: the training speed, the median over the epochs.
        stopped: why the run ended.
        diverged: where a loss was first not finite, None if all were finite.
    """

    epochs: int
    best_epoch: int | None
    train: Metrics | None
    validation: Metrics | None
    test: Metrics | None
    images_per_second: float | None
    stopped: StopReason
    diverged: Divergence | None

    @classmethod
    def from_dict(cls, summary: dict[str, Any]) -> "RunSummary":
        """Return the summary that `cnn3.fit` returned or `summary.json` holds."""
        splits = {split: summary[split] and Metrics(**summary[split]) for split in SPLITS}
        diverged = summary["diverged"] and Divergence(**summary["diverged"])
        return cls(**{**summary, **splits, "diverged": diverged})

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as `summary.json` holds it."""
        return {
            name: value._asdict() if isinstance(value, (Metrics, Divergence)) else value
            for name, value in self._asdict().items()
        }

    def metric(self, split: str, name: str) -> float | None:
        """Return the loss or accuracy of a split, None if the run diverged in its first epoch."""
        metrics = getattr(self, split)
        return None if metrics is None else getattr(metrics, name)


class Run(NamedTuple):
    """A finished run.

    Args:
        config: its configuration.
        folder: the folder with its files.
        history: a record for each epoch, as `cnn3.fit` returns it.
        summary: its outcome.
        versions: the code, data, versions, settings and device that it was made with.
    """

    config: RunConfig
    folder: Path
    history: list[dict[str, Any]]
    summary: RunSummary
    versions: Versions

    def validation_accuracies(self) -> list[float]:
        """Return the validation accuracy of each epoch."""
        return validation_accuracies(self.history)

    def epochs_to(self, accuracy: float) -> int | None:
        """Return the number of epochs until validation accuracy first reaches a value, None if it never does."""
        accuracies = enumerate(self.validation_accuracies(), 1)
        return next((epoch for epoch, value in accuracies if value >= accuracy), None)


def metric_values(runs: Iterable[Run], split: str, name: str) -> list[float]:
    """Return a metric of each run that has it."""
    values = [run.summary.metric(split, name) for run in runs]
    return [value for value in values if value is not None]
