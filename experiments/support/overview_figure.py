"""The picture at the head of the report: the accuracies that the original study compares, next to ours."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from cnn3 import plots
from experiments.support.display_names import display_title
from experiments.support.figures import COMPARABLE, subtitle
from experiments.support.options import Options
from experiments.support.printed_claims import NUMBERS
from experiments.support.reported import HYPERPARAMETERS, setting_name
from experiments.support.rules import Printed
from experiments.support.run import metric_values
from experiments.support.tables import Row
from experiments.support.verdict_tables import interval, sample
from experiments.support.verdicts import Verdict

TESTS, SETTINGS = "Test accuracy", "Validation accuracy by learning rate and batch size"
GRID = {setting_name(*setting): f"{setting[0]:g}, {setting[1]}" for setting in HYPERPARAMETERS}
IN_GRID = {"batch_norm": GRID[setting_name(0.001, 128)]}  # the run of figure 6 is also a cell of figure 15


def comparison_figure(
    main: Options, sweeps: Options, rows: Mapping[str, Sequence[Row]], verdicts: Sequence[Verdict]
) -> Figure:
    """Return our test accuracies and grid of figure 15 next to the original study's, made comparable if need be.

    Args:
        main: how the improvements and the tuned run were trained.
        sweeps: how the runs of other learning rates and batch sizes were trained.
        rows: the rows of each experiment.
        verdicts: the verdicts; results without one, as those of short runs, are left out.
    """
    judged = {verdict.claim.id for verdict in verdicts if verdict.outcome is not None}
    groups: dict[str, dict[str, plots.Interval]] = {TESTS: {}, SETTINGS: {}}
    as_printed = main.protocol == "published"
    for claim in NUMBERS:
        rule = claim.rule
        if not isinstance(rule, Printed) or rule.metric != "accuracy" or claim.where == "section 8":
            continue
        values = sample(rows[claim.experiment], rule) if claim.id in judged else []
        target = rule.printed if as_printed else rule.target
        measured = plots.Interval(fmean(values) if values else None, interval(values), target)
        if rule.split == "test":
            groups[TESTS][display_title(rule.row)] = measured
        elif rule.split == "validation" and rule.row in GRID | IN_GRID:
            groups[SETTINGS][(GRID | IN_GRID)[rule.row]] = measured
    groups[SETTINGS] = {name: groups[SETTINGS][name] for name in GRID.values()}
    title = f"Accuracy here and in the original study, on {display_title(main.dataset)}"
    text = _subtitle(main, sweeps)
    return plots.dot_interval(groups, "Accuracy", title, text if as_printed else f"{text} {COMPARABLE}")


def measured_figure(main: Options, sweeps: Options, rows: Sequence[Row], sweep_rows: Sequence[Row]) -> Figure:
    """Return the test accuracies of all rows, for a data set that the original study does not have.

    Rows of the sweeps are left out if there are others of the same name.
    """
    above = _intervals(rows)
    below = {name: measured for name, measured in _intervals(sweep_rows).items() if name not in above}
    groups = {TESTS: above, f"{TESTS} in the sweeps": below}
    title = f"Test accuracy on {display_title(main.dataset)}"
    drawn = {heading: group for heading, group in groups.items() if group}
    return plots.dot_interval(drawn or {TESTS: {}}, "Accuracy", title, _subtitle(main, sweeps))


def _intervals(rows: Sequence[Row]) -> dict[str, plots.Interval]:
    """Return the mean test accuracy of each row that has one, by its title."""
    samples = {display_title(row.name): metric_values(row.runs, "test", "accuracy") for row in rows}
    return {name: plots.Interval(fmean(values), interval(values), None) for name, values in samples.items() if values}


def _subtitle(main: Options, sweeps: Options) -> str:
    """Return how the runs were trained, for each panel if they differ."""
    above, below = subtitle(main), subtitle(sweeps)
    return above if above == below else f"Above: {above} Below: {below}"
