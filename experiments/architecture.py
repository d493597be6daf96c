"""The choices of the architecture (original study, section 2), and combinations of the improvements (section 4).

Trains the baseline with other channels of the convolutions, with 2 and 4 fully connected layers, with average pooling,
and with every combination of batch norm, dropout and dense block. Everything else is the original study's default run.
The accuracies are compared with the cost of each network. The original study describes its results in words and prints
numbers only for the single improvements. It does not give the widths of the layers: here, with 2 layers the features go
straight to the 128 units of the last hidden layer; with 4 the widths are halved from layer to layer: 1024, 512, 256,
128.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("architecture"))


from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

from matplotlib.figure import Figure

from cnn3 import plots
from experiments.support import figures, reported
from experiments.support.cost import accuracy_point, network_cost
from experiments.support.display_names import display_name, display_title
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.run import Run
from experiments.support.runner import run_all
from experiments.support.study import BASELINE, GROUPS, MODELS, Group
from experiments.support.tables import (
    MISSING,
    Row,
    Table,
    format_mean_std,
    format_metric,
    reported_for,
    runs_table,
    table_notes,
)
from experiments.support.verdicts import judge_experiment

NAME = "architecture"
TITLE = "Choices of the architecture"


def architecture(options: Options) -> Report:
    """Train the networks and return the report."""
    configs = {name: options.config(model=model) for name, model in MODELS.items()}
    runs = run_all(options, NAME, configs)
    printed = reported_for(options, reported.IMPROVEMENTS)
    costs = {name: network_cost(options.folder(NAME), config) for name, config in configs.items()}
    rows = [Row(name, runs[name], printed.get(name), costs[name]) for name in configs]
    groups = rows_by_group(rows)
    tables = {GROUPS[key].heading: group_table(GROUPS[key], members) for key, members in groups.items()}
    tables["Runs"] = runs_table(rows, "network")
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, groups), verdicts)


def rows_by_group(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each choice, the baseline first."""
    by_name = {row.name: row for row in rows}
    return {key: [by_name[name] for name in (BASELINE, *group.alternatives)] for key, group in GROUPS.items()}


def notes(options: Options) -> list[str]:
    """Return the notes that readers of the tables need."""
    return [
        "GFLOP an image is the arithmetic of a training step (forward, backward and update) divided by its images. It "
        "is XLA's count for the plain convolution, without products with the zeros of the padding. Images a second "
        "and seconds an epoch, which include validation, are medians over the epochs of a run, on its own machine.",
        *table_notes(
            options,
            "The original study's numbers are from figures 3, 6, 9 and 12. It prints none for the other choices.",
        ),
    ]


def group_table(group: Group, rows: Sequence[Row]) -> Table:
    """Return cost and accuracy of the networks of a choice, the baseline first, and the original accuracies if any."""
    printed = any(row.reported for row in rows)
    header = [
        "network",
        "parameters",
        "GFLOP an image",
        "images/s",
        "s an epoch",
        "validation accuracy",
        *(["test accuracy, original study", "made comparable"] if printed else []),
        "test accuracy, ours" if printed else "test accuracy",
        "test loss",
    ]
    lines = []
    for row in rows:
        test = row.reported and row.reported.test
        original = (
            [f"{test.accuracy:.4f}", str(row.reported.comparable("test"))] if row.reported and test else [MISSING] * 2
        )
        lines.append(
            [
                f"{BASELINE} ({group.baseline})" if row.name == BASELINE else display_name(row.name),
                f"{row.extra['parameters']:,}",
                f"{row.extra['training_flops_per_image'] / 1e9:.3f}",
                format_mean_std([run.summary.images_per_second for run in row.runs], 0),
                format_mean_std([epoch_seconds(run) for run in row.runs], 1),
                format_metric(row.runs, "validation", "accuracy"),
                *(original if printed else []),
                format_metric(row.runs, "test", "accuracy"),
                format_metric(row.runs, "test", "loss"),
            ]
        )
    return Table(header, lines, 1)


def epoch_seconds(run: Run) -> float | None:
    """Return the median time of an epoch in seconds, None if no epoch has finished."""
    return median(record["seconds"] for record in run.history) if run.history else None


def make_figures(options: Options, groups: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """Return the figures by file name: accuracy against cost, and the curves of each choice."""
    colored = {display_title(BASELINE): groups["channels"][:1]}
    colored |= {GROUPS[key].heading: rows[1:] for key, rows in groups.items()}
    bars = " Bars: standard deviation over the seeds." if options.seeds > 1 else ""
    subtitle = f"{figures.subtitle(options)}{bars}"

    def scatter(measure: str, unit: float, label: str, title: str, scale: Literal["linear", "log"]) -> Figure:
        points = {heading: _points(rows, measure, unit) for heading, rows in colored.items()}
        heading = f"{title} on {display_title(options.dataset)}"
        return plots.scatter(points, label, "Test accuracy", heading, subtitle, x_scale=scale)

    by_name = {
        "accuracy_flops.png": scatter(
            "training_flops_per_image", 1e9, "GFLOP per training image", "Test accuracy and cost of training", "linear"
        ),
        "accuracy_parameters.png": scatter(
            "parameters", 1e6, "Million parameters (log axis)", "Test accuracy and parameters", "log"
        ),
    }
    for key, rows in groups.items():
        by_name |= figures.comparison(options, rows, f"comparison_{key}.png", GROUPS[key].heading)
    return by_name


def _points(rows: Sequence[Row], measure: str, unit: float) -> dict[str, plots.Point]:
    """Return the test accuracy of rows at their cost; rows without any are left out."""
    points = {display_title(row.name): accuracy_point(row.runs, row.extra[measure] / unit) for row in rows}
    return {name: point for name, point in points.items() if point is not None}


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", architecture)
main = EXPERIMENT.main
