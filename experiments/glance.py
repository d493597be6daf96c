"""The picture at the head of the report: the accuracies by which the original study decides, beside those here."""

from matplotlib.figure import Figure

from cnn3 import plots
from experiments import hyperparameters, improvements, tuned
from experiments.common import Options
from experiments.comparison import Reports, measure, numbers
from experiments.figures import subtitle
from experiments.names import display

TESTS, SETTINGS = "Test accuracy", "Validation accuracy by learning rate and batch size"


def glance(whole: Options, sweeps: Options, reports: Reports, comparable: bool) -> Figure:
    """Return the picture.

    Args:
        whole: how the improvements and the tuned run were trained.
        sweeps: how the runs of other learning rates and batch sizes were trained.
        reports: what was found.
        comparable: whether the numbers are of the original study's data set.
    """
    names = {hyperparameters.name(setting): f"{setting[0]:g}, {setting[1]}" for setting in hyperparameters.SETTINGS}
    groups: dict[str, dict[str, plots.Beside]] = {TESTS: {}, SETTINGS: {}}
    for number in numbers():
        mean, interval, _ = measure(reports, number)
        row = plots.Beside(mean, interval, number.printed if comparable else None)
        if number.metric == "accuracy" and number.source != "section 8":  # which repeats others
            if number.experiment == hyperparameters.NAME:
                groups[SETTINGS][names[number.row]] = row
            elif number.experiment in (improvements.NAME, tuned.NAME) and number.split == "test":
                groups[TESTS][display(number.row)] = row
    title = f"Accuracy {'here and in the original study' if comparable else 'here'}, on {display(whole.dataset)}"
    return plots.beside(groups, "Accuracy", title, _subtitle(whole, sweeps))


def _subtitle(whole: Options, sweeps: Options) -> str:
    """Return how the runs were trained, of each panel if they differ."""
    above, below = subtitle(whole), subtitle(sweeps)
    return above if above == below else f"Above: {above} Below: {below}"
