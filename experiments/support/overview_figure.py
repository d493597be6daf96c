"""The picture at the head of the report: the accuracies by which the original study decides, next to those here."""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.figure import Figure

from cnn3 import plots
from experiments.support.comparison import Reports
from experiments.support.figures import COMPARABLE, subtitle
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.printed import NUMBERS
from experiments.support.reported import HYPERPARAMETERS, setting_name
from experiments.support.rules import Printed
from experiments.support.verdict_tables import interval, sample
from experiments.support.verdicts import Verdict

TESTS, SETTINGS = "Test accuracy", "Validation accuracy by learning rate and batch size"
GRID = {setting_name(*setting): f"{setting[0]:g}, {setting[1]}" for setting in HYPERPARAMETERS}
IN_GRID = {"batch_norm": GRID[setting_name(0.001, 128)]}  # the run of figure 6 is one of figure 15's


def overview_figure(whole: Options, sweeps: Options, reports: Reports, judged: Sequence[Verdict]) -> Figure:
    """Return the test accuracies and the grid of figure 15, the original study's made comparable.

    Args:
        whole: how the improvements and the tuned run were trained.
        sweeps: how the runs of other learning rates and batch sizes were trained.
        reports: what was found.
        judged: the verdicts; what has none, as a run that is not at full length, is left out.
    """
    full = {verdict.claim.id for verdict in judged if verdict.outcome is not None}
    groups: dict[str, dict[str, plots.Interval]] = {TESTS: {}, SETTINGS: {}}
    for claim in NUMBERS:
        rule = claim.rule
        if not isinstance(rule, Printed) or rule.metric != "accuracy" or claim.where == "section 8":
            continue
        values = sample(reports[claim.experiment].rows, rule) if claim.id in full else []
        row = plots.Interval(fmean(values) if values else None, interval(values), rule.target)
        if rule.split == "test":
            groups[TESTS][display(rule.row)] = row
        elif rule.split == "validation" and rule.row in GRID | IN_GRID:
            groups[SETTINGS][(GRID | IN_GRID)[rule.row]] = row
    groups[SETTINGS] = {name: groups[SETTINGS][name] for name in GRID.values()}
    title = f"Accuracy here and in the original study, on {display(whole.dataset)}"
    return plots.dot_interval(groups, "Accuracy", title, f"{_subtitle(whole, sweeps)} {COMPARABLE}")


def measured_figure(whole: Options, reports: Reports) -> Figure:
    """Return the test accuracies of all rows, for a data set that the original study does not have."""
    values = {
        row.name: [run.summary["test"]["accuracy"] for run in row.runs if run.summary["test"]]
        for report in reports.values()
        for row in report.rows
    }
    rows = {display(name): plots.Interval(fmean(of), interval(of), None) for name, of in values.items() if of}
    return plots.dot_interval({TESTS: rows}, "Accuracy", f"Test accuracy on {display(whole.dataset)}", subtitle(whole))


def _subtitle(whole: Options, sweeps: Options) -> str:
    """Return how the runs were trained, of each panel if they differ."""
    above, below = subtitle(whole), subtitle(sweeps)
    return above if above == below else f"Above: {above} Below: {below}"
