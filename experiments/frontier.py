"""How far three convolutions get today: accuracy by the compute of training. The original study has no such part.

Trains the original study's batch-norm network with its own recipe (its tuned run, a constant learning rate for up to
150 epochs) and with a recipe of later years: SGD with Nesterov momentum, a one-cycle learning rate, label smoothing,
decay of kernels only, crops and flips only. Then other networks of three convolutions with the later recipe, some with
Muon in place of SGD. The number of epochs belongs to the row; --epochs shortens rows that have more.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("frontier"))


from collections.abc import Sequence
from statistics import fmean

from matplotlib.figure import Figure

from cnn3 import AugmentConfig, RunConfig, ScheduleConfig, plots
from cnn3.cli import UsageError
from experiments.support.cost import accuracy_point, network_cost
from experiments.support.display_names import display_title, pluralize
from experiments.support.figures import TRAINING_IMAGES, VALIDATION_IMAGES
from experiments.support.finished_runs import shorten
from experiments.support.joined import join, predict_test_set
from experiments.support.options import Options, command
from experiments.support.publish import publish
from experiments.support.recipes import RECIPES, FrontierOptions, Recipe
from experiments.support.report import Report
from experiments.support.run import Run
from experiments.support.runner import run_all
from experiments.support.tables import MISSING, Row, Table, format_mean_std, format_metric, runs_table, table_notes

NAME = "frontier"
TITLE = "How far three convolutions get today"
JOINED = [
    "A joined network has runs of a row as its columns (`python -m cnn3.join`). Accuracy and loss are means over "
    "networks in which each run occurs equally often; these share runs, so their spread is not that between seeds."
]


def frontier(options: FrontierOptions) -> Report:
    """Train the rows and return the report.

    Raises:
        UsageError: there is no such row, or none is named.
    """
    if not options.rows:
        raise UsageError("--rows: name at least one row, or leave the option out for all")
    unknown = [name for name in options.rows if name not in RECIPES]
    if unknown:
        raise UsageError(f"--rows: there is no row {unknown[0]!r}; choose from {', '.join(map(repr, RECIPES))}")
    configs = {name: config(options, RECIPES[name]) for name in options.rows}
    runs = run_all(options, NAME, configs)
    rows = [
        Row(name, runs[name], None, cost(options, name, configs[name]) | joined(options, runs[name]))
        for name in configs
    ]
    tables = {
        "Accuracy and compute": frontier_table(rows),
        "Joined networks": joined_table(rows),
        "Runs": runs_table(rows, "row"),
    }
    used = {title: table for title, table in tables.items() if table.rows}
    return Report(NAME, TITLE, rows, notes(options, rows), used, make_figures(options, rows))


def config(options: Options, recipe: Recipe) -> RunConfig:
    """Return the configuration of a row."""
    if recipe.epochs is None:
        return options.tuned(model=recipe.model)
    return options.config(
        model=recipe.model,
        optimizer=recipe.optimizer,
        augment=AugmentConfig(rotation=0, shear=0, scale=(1, 1), cutout=recipe.cutout),
        schedule=ScheduleConfig("one_cycle"),
        label_smoothing=0.1,
        hold_out=recipe.hold_out,
        epochs=min(recipe.epochs, options.epochs),
        patience=None,
        snapshots=(),
    )


def cost(options: Options, name: str, config: RunConfig) -> dict[str, float | str]:
    """Return what `summary.json` has in addition: the network's parameters, and the arithmetic of an image's step."""
    images = TRAINING_IMAGES[options.dataset] if options.limit is None else options.limit
    return {
        **network_cost(options.folder(NAME), config),
        "images": images + (0 if config.hold_out else VALIDATION_IMAGES[options.dataset]),
        "group": RECIPES[name].group,
    }


def joined(options: Options, runs: Sequence[Run]) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return the test metrics of the networks joined from a row's runs, by their columns.

    The predictions of a single run are kept too, for the seeds to come.
    """
    folder = options.folder(NAME) / "predictions"
    predictions = [predict_test_set(options, folder, run) for run in runs]
    there = [run for run in predictions if run is not None]
    counts = range(2, len(there) + 1)
    return {"joined": {str(n): [metrics._asdict() for metrics in join(there, n)] for n in counts}}


def petaflops(row: Row) -> float:
    """Return the arithmetic of all epochs of a row, the mean over its runs, in PFLOP."""
    epochs = fmean(len(run.history) for run in row.runs)
    return row.extra["training_flops_per_image"] * row.extra["images"] * epochs / 1e15


def notes(options: Options, rows: Sequence[Row]) -> list[str]:
    """Return what a reader of the tables must know."""
    without = [row.name for row in rows if len(row.runs) > 1 and not row.extra["joined"]]
    return [
        "PFLOP is the arithmetic of all training steps, counted as in the experiment `architecture`: forward, backward "
        "and update of every image in every epoch; evaluation is not counted. No test-time augmentation is used. "
        "Rows without a validation accuracy trained on the validation images too. "
        "A row is trained by `python -m experiments.frontier --rows ROW`.",
        *(JOINED if any(row.extra["joined"] for row in rows) else []),
        *([f"Not joined, since their weights are not there: {shorten(without)}."] if without else []),
        *table_notes(options),
    ]


def frontier_table(rows: Sequence[Row]) -> Table:
    """Return size, compute, speed and accuracy of each row."""
    header = ["row", "epochs", "parameters", "PFLOP", "images/s", "validation accuracy", "test accuracy", "test loss"]
    lines = [
        [
            row.name,
            format_mean_std([len(run.history) for run in row.runs], 0),
            f"{row.extra['parameters']:,}",
            f"{petaflops(row):.3g}",
            format_mean_std([run.summary.images_per_second for run in row.runs], 0),
            format_metric(row.runs, "validation", "accuracy") if RECIPES[row.name].hold_out else MISSING,
            format_metric(row.runs, "test", "accuracy"),
            format_metric(row.runs, "test", "loss"),
        ]
        for row in rows
    ]
    return Table(header, lines, 1)


def joined_table(rows: Sequence[Row]) -> Table:
    """Return size, compute and accuracy of the networks joined from the runs of each row, by their columns."""
    header = ["row", "columns", "networks", "parameters", "PFLOP", "test accuracy", "test loss"]
    lines = [
        [
            row.name,
            columns,
            str(len(networks)),
            f"{int(columns) * row.extra['parameters']:,}",
            f"{int(columns) * petaflops(row):.3g}",
            *(f"{fmean(network[metric] for network in networks):.4f}" for metric in ("accuracy", "loss")),
        ]
        for row in rows
        for columns, networks in row.extra["joined"].items()
    ]
    return Table(header, lines, 1)


def make_figures(options: FrontierOptions, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return test accuracy by the compute of training, a colour for each network and recipe."""
    groups: dict[str, dict[str, plots.Point]] = {row.extra["group"]: {} for row in rows}
    for row in rows:
        point = accuracy_point(row.runs, petaflops(row))
        if point is not None:
            groups[row.extra["group"]][row.name] = point
        groups[row.extra["group"]] |= joined_points(row)
    title = f"Test accuracy and compute of training on {display_title(options.dataset)}"
    label = "PFLOP of training (log axis)"
    seeds = describe_seeds([len(row.runs) for row in rows])
    subtitle = "; ".join([*changed_settings(options), seeds]).capitalize()
    if any(row.extra["joined"] for row in rows):
        subtitle += " N x row: networks joined from N of its runs, their mean."
    return {"accuracy_compute.png": plots.scatter(groups, label, "Test accuracy", title, subtitle, x_scale="log")}


def joined_points(row: Row) -> dict[str, plots.Point]:
    """Return the mean test accuracy of the networks joined from a row's runs, by their columns."""
    return {
        f"{n} x {row.name}": plots.Point(int(n) * petaflops(row), fmean(network["accuracy"] for network in networks))
        for n, networks in row.extra["joined"].items()
    }


def changed_settings(options: FrontierOptions) -> list[str]:
    """Return what the options change in the training of the rows."""
    longest = max(RECIPES[name].epochs or FrontierOptions.epochs for name in options.rows)
    settings = {
        f"the first {options.limit} training images only": options.limit is not None,
        f"at most {pluralize(options.epochs, 'epoch')}": options.epochs < longest,
        "published protocol": options.protocol == "published",
        "precision bfloat16": options.precision == "bf16",
    }
    return [setting for setting, changed in settings.items() if changed]


def describe_seeds(counts: Sequence[int]) -> str:
    """Return how many seeds the points of a figure have, in a sentence; rows without a finished run of each differ."""
    fewest, most = min(counts), max(counts)
    seeds = pluralize(most, "seed") if fewest == most else f"{fewest} to {most} seeds"
    return f"{seeds}; bars: standard deviation." if most > 1 else f"{seeds}."


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command(FrontierOptions, lambda options: publish(options, frontier(options)), NAME, __doc__ or "", args)
