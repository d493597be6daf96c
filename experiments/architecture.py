"""The choices of the architecture (original study, section 2), and combinations of the improvements (section 4).

Trains, with the original study's default run and all else as in the baseline, other channels of the convolutions, 2 and
4 fully connected layers, average pooling, and every combination of batch norm, dropout and dense block; and sets the
accuracies beside what each network costs. The original study says in words what it found, and prints no numbers but of
the improvements one by one. It does not say how wide the layers were: with 2 the features go straight to the 128 of the
last hidden layer, with 4 they are halved from layer to layer, 1024, 512, 256, 128.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from statistics import fmean, median, stdev
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cnn3 import VARIANTS, ModelConfig, plots
from cnn3.analysis.cost import count_parameters, training_flops
from cnn3.config import SEED
from experiments.support import figures, reported
from experiments.support.cache import cached
from experiments.support.names import display, shown
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.runner import Run, run_all
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
from experiments.support.verdict_tables import verdict_table

NAME = "architecture"
TITLE = "Choices of the architecture"
BASELINE = "baseline"
BATCH_NORM_DENSE = replace(VARIANTS["dense"], batch_norm=True)


class Group(NamedTuple):
    """A choice: its heading, what the baseline has chosen, and the networks that have chosen otherwise, by name."""

    heading: str
    chosen: str
    others: Mapping[str, ModelConfig]


GROUPS: Mapping[str, Group] = {
    "channels": Group(
        "Channels of the convolutions",
        "256, 128, 64",
        {
            "channels 64, 128, 256": ModelConfig(channels=(64, 128, 256)),
            "channels 128, 128, 128": ModelConfig(channels=(128, 128, 128)),
        },
    ),
    "layers": Group(
        "Fully connected layers",
        "3: 512, 128, 10",
        {
            "2 layers: 128, 10": ModelConfig(hidden=(128,)),
            "4 layers: 512, 256, 128, 10": ModelConfig(hidden=(512, 256, 128)),
        },
    ),
    "pooling": Group("Pooling", "max", {"average pooling": ModelConfig(pool="average")}),
    "improvements": Group(
        "Improvements and their combinations",
        "none",
        {
            **{name: model for name, model in VARIANTS.items() if name != BASELINE},
            "batch_norm + dropout": replace(VARIANTS["batch_norm"], dropout=0.2),
            "batch_norm + dense": BATCH_NORM_DENSE,
            "dropout + dense": replace(VARIANTS["dense"], dropout=0.2),
            "batch_norm + dropout + dense": replace(BATCH_NORM_DENSE, dropout=0.2),
        },
    ),
}
MODELS = {
    BASELINE: VARIANTS[BASELINE],
    **{name: model for group in GROUPS.values() for name, model in group.others.items()},
}


def architecture(options: Options) -> Report:
    """Train the networks and return what they show."""
    configs = {name: options.config(model=model) for name, model in MODELS.items()}
    runs = run_all(options, NAME, configs)
    printed = reported_for(options, reported.IMPROVEMENTS)
    rows = {name: Row(name, runs[name], printed.get(name), cost(options, runs[name])) for name in configs}
    groups = rows_by_group(rows)
    tables = {GROUPS[key].heading: group_table(GROUPS[key], of) for key, of in groups.items()}
    tables |= verdict_table(options, NAME, list(rows.values()))
    tables["Runs"] = runs_table(list(rows.values()), "network")
    return Report(NAME, TITLE, list(rows.values()), notes(options), tables, make_figures(options, groups))


def rows_by_group(rows: Mapping[str, Row]) -> dict[str, list[Row]]:
    """Return the rows of each choice, the baseline first."""
    return {key: [rows[BASELINE], *(rows[name] for name in group.others)] for key, group in GROUPS.items()}


def cost(options: Options, runs: Sequence[Run]) -> dict[str, float]:
    """Return what `summary.json` says of a network's cost: its parameters, and the arithmetic of training an image.

    It is kept on disk, since XLA's count takes a second or two.
    """
    config = runs[0].config
    names = {"parameters": count_parameters, "training_flops_per_image": training_flops}
    key = {"config": asdict(replace(config, seed=SEED)), "cnn3": version("cnn3"), "jax": version("jax")}

    def compute() -> dict[str, np.ndarray]:
        return {name: np.array(of(config)) for name, of in names.items()}

    found = cached(options.folder(NAME) / "cache", "cost", key, compute)
    return {name: found[name].item() for name in names}


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables must know."""
    return [
        "GFLOP an image is the arithmetic of a training step, forward, backward and update, over its images: "
        "XLA's count for the plain convolution, products with the zeros of the padding left out. Images a second and "
        "seconds an epoch, which include validation, are medians over a run's epochs, on the machine of each run.",
        *table_notes(
            options,
            "The original study's numbers are from figures 3, 6, 9 and 12. Of the other choices it prints none.",
        ),
    ]


def group_table(group: Group, rows: Sequence[Row]) -> Table:
    """Return cost and accuracy of a choice's networks, the baseline first, beside the original numbers if any."""
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
        theirs = (
            [f"{test.accuracy:.4f}", str(row.reported.comparable("test"))] if row.reported and test else [MISSING] * 2
        )
        lines.append(
            [
                f"{BASELINE} ({group.chosen})" if row.name == BASELINE else shown(row.name),
                f"{row.more['parameters']:,}",
                f"{row.more['training_flops_per_image'] / 1e9:.3f}",
                format_mean_std([run.summary["images_per_second"] for run in row.runs], 0),
                format_mean_std([epoch_seconds(run) for run in row.runs], 1),
                format_metric(row.runs, "validation", "accuracy"),
                *(theirs if printed else []),
                format_metric(row.runs, "test", "accuracy"),
                format_metric(row.runs, "test", "loss"),
            ]
        )
    return Table(header, lines, 1)


def epoch_seconds(run: Run) -> float | None:
    """Return the median time of an epoch, None if none ended."""
    return median(record["seconds"] for record in run.history) if run.history else None


def make_figures(options: Options, groups: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """Return the plots by file name: accuracy against cost, and the curves of each choice in one."""
    colored = {display(BASELINE): groups["channels"][:1]}
    colored |= {GROUPS[key].heading: rows[1:] for key, rows in groups.items()}
    several = " Bars: standard deviation over the seeds." if options.seeds > 1 else ""
    under = f"{figures.subtitle(options)}{several}"

    def scatter(of: str, unit: float, label: str, title: str, scale: Literal["linear", "log"]) -> Figure:
        points = {heading: _points(rows, of, unit) for heading, rows in colored.items()}
        heading = f"{title} on {display(options.dataset)}"
        return plots.scatter(points, label, "Test accuracy", heading, under, x_scale=scale)

    drawn = {
        "accuracy_flops.png": scatter(
            "training_flops_per_image", 1e9, "GFLOP per training image", "Test accuracy and cost of training", "linear"
        ),
        "accuracy_parameters.png": scatter(
            "parameters", 1e6, "Million parameters (log axis)", "Test accuracy and parameters", "log"
        ),
    }
    for key, rows in groups.items():
        drawn |= figures.comparison(options, rows, f"comparison_{key}.png", GROUPS[key].heading)
    return drawn


def _points(rows: Sequence[Row], cost: str, unit: float) -> dict[str, plots.Point]:
    """Return the rows that have a test accuracy as points of its mean and, of several, standard deviation."""
    points = {}
    for row in rows:
        values = [run.summary["test"]["accuracy"] for run in row.runs if run.summary["test"]]
        if values:
            std = stdev(values) if len(values) > 1 else None
            points[display(row.name)] = plots.Point(row.more[cost] / unit, fmean(values), std)
    return points


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(architecture, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
