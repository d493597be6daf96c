"""The figures that experiments share: curves of each row, and of all in one."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from cnn3 import plots
from experiments.common import Options, Run
from experiments.tables import Row

METRICS: tuple[plots.Metric, ...] = ("accuracy", "loss")


def each(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return accuracy and loss plots of each row, as `accuracy_NAME.png` and `loss_NAME.png`."""
    drawn = [curves(row.runs, row.name, f"{words(row.name)} on {options.dataset}") for row in rows]
    return {name: figure for of in drawn for name, figure in of.items()}


def curves(runs: Sequence[Run], name: str, title: str) -> dict[str, Figure]:
    """Return the accuracy and loss plots of a row's runs, as `accuracy_NAME.png` and `loss_NAME.png`."""
    histories = [run.history for run in runs]
    return {f"{metric}_{name}.png": plots.curves(histories, metric, title) for metric in METRICS}


def comparison(rows: Sequence[Row], title: str, against: plots.Against = "epochs") -> Figure:
    """Return one figure with the curves of all rows."""
    return plots.comparison({words(r.name): [run.history for run in r.runs] for r in rows}, METRICS, title, against)


def words(name: str) -> str:
    """Return a row's name for a reader."""
    return name.replace("_", " ")
