"""The names, the figure and the table of compared runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from cnn3 import plots
from cnn3.runs.metadata import config_fields
from cnn3.runs.records import RunRecord

MAX_NAME = 60  # letters of a name made of settings
SHARED = ("dataset", "limit", "epochs", "batch_size", "seed")  # settings in the figure's subtitle
HEADINGS = ("run", "epochs", "best epoch", "validation accuracy", "test accuracy", "images/s")
UNKNOWN = "-"


def name_runs(runs: Sequence[RunRecord]) -> list[str]:
    """Return a name for each run: the settings in which they differ, or else their folders.

    Folders are named where runs have the same settings, or where a name would be too long.
    """
    configs = [config_fields(run.config) for run in runs]
    differing = [field for field in configs[0] if len({repr(config[field]) for config in configs}) > 1]
    names = [", ".join(f"{field} {_format(config[field])}" for field in differing) for config in configs]
    if len(set(names)) == len(runs) and "" not in names and max(map(len, names)) <= MAX_NAME:
        return names
    folders = [run.folder.resolve().name for run in runs]
    return folders if len(set(folders)) == len(runs) else [str(run.folder) for run in runs]


def draw(names: Sequence[str], runs: Sequence[RunRecord]) -> Figure:
    """Return the curves of all runs in one figure, with the settings that they share in its subtitle."""
    configs = [config_fields(run.config) for run in runs]
    shared = {
        field: configs[0][field]
        for field in SHARED
        if configs[0][field] is not None and all(config[field] == configs[0][field] for config in configs)
    }
    subtitle = ", ".join(f"{field.replace('_', ' ')} {_format(value)}" for field, value in shared.items())
    histories = {name: [run.history] for name, run in zip(names, runs, strict=True)}
    return plots.comparison(histories, plots.METRICS, "Accuracy and loss by epoch", subtitle)


def results_table(names: Sequence[str], runs: Sequence[RunRecord]) -> str:
    """Return a table of the runs' results, in lines; epochs are counted from 1."""
    rows = [HEADINGS, *(_row(name, run) for name, run in zip(names, runs, strict=True))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def _row(name: str, run: RunRecord) -> tuple[str, ...]:
    summary: Mapping[str, Any] = run.summary
    best, speed = summary["best_epoch"], summary["images_per_second"]
    accuracies = [summary[split] for split in ("validation", "test")]
    return (
        name,
        f"{summary['epochs']}/{run.config.epochs}",
        UNKNOWN if best is None else str(best + 1),
        *(UNKNOWN if metrics is None else f"{metrics['accuracy']:.4f}" for metrics in accuracies),
        UNKNOWN if speed is None else f"{speed:.0f}",
    )


def _format(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_format, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
