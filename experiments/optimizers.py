"""The training algorithms (original study, section 6, figures 18 to 23).

Trains the tuned model (batch norm, learning rate 0.0001, batch size 64) with SGD, SGD with momentum 0.9, RMSprop and
Adam, as the original study does, and with AdamW, which it does not have. Adam alone has the L2 penalty of 0.0003, as in
the original program; AdamW decays the weights by as much, apart from the gradient. Adam's run is the tuned run of the
other experiments.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("optimizers"))


from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import OPTIMIZERS, plots
from experiments.support import figures, reported
from experiments.support.display_names import display_name
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.tables import (
    Row,
    Table,
    format_count,
    format_metric,
    reported_for,
    results_table,
    runs_table,
    stop_reasons,
    table_notes,
)
from experiments.support.verdicts import judge_experiment

NAME = "optimizers"
TITLE = "Training algorithms"
ACCURACIES = (0.5, 0.6, 0.7, 0.8)  # levels of the convergence table
WITH_OWN_FIGURES = ("sgd", "momentum", "rmsprop")  # figures 18 to 23 of the original study
# Validation accuracies and their epochs, stated as "around" in sections 6.1 and 6.2.
APPROXIMATE = {"sgd": (0.63, 150), "momentum": (0.8, 120)}


def optimizers(options: Options) -> Report:
    """Train with each optimizer and return the report."""
    configs = {name: options.tuned(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()}
    runs = run_all(options, NAME, configs)
    printed = reported_for(options, {"adam": reported.TUNED})
    rows = [Row(name, runs[name], printed.get(name)) for name in configs]
    tables = {
        "Results": results_table(rows, "optimizer"),
        "Convergence": convergence_table(rows),
        "Runs": runs_table(rows, "optimizer"),
    }
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, rows), verdicts)


def notes(options: Options) -> list[str]:
    """Return the notes that readers of the tables need."""
    return [
        "An accuracy is reached in the first epoch, counted from 1, with a validation accuracy at least as high. "
        "Training time is the time of the epochs with validation and without compilation, on the machine of each run, "
        "which several runs may have shared.",
        *table_notes(
            options,
            "The original study shows plots of the optimizers and prints numbers only for Adam's run, the tuned one "
            f"({reported.TUNED.source}).",
        ),
    ]


def convergence_table(rows: Sequence[Row]) -> Table:
    """Return the accuracy and the speed of convergence of each optimizer, and why its runs ended."""
    levels = [f"epochs to {accuracy:g}" for accuracy in ACCURACIES]
    header = ["optimizer", "ended", "epochs", "best validation accuracy", "test accuracy", *levels]
    lines = []
    for row in rows:
        accuracies = [format_metric(row.runs, split, "accuracy") for split in ("validation", "test")]
        epochs = format_count([run.summary.epochs for run in row.runs])
        epochs_to = [format_count([run.epochs_to(accuracy) for run in row.runs]) for accuracy in ACCURACIES]
        lines.append([display_name(row.name), stop_reasons(row.runs), epochs, *accuracies, *epochs_to])
    return Table(header, lines, 2)


def approximate_numbers(options: Options) -> Mapping[str, plots.ReportedNumbers]:
    """Return the numbers that the original study states approximately, made comparable if need be."""
    batch_size, padded = reported.TUNED.batch_size, options.protocol == "published"
    return {
        name: {
            ("validation", "accuracy"): plots.ReportedNumber(
                value if padded else reported.rescale(value, "validation", batch_size), epoch
            )
        }
        for name, (value, epoch) in APPROXIMATE.items()
    }


def make_figures(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures by file name: all by epoch and by time, and those that the original study shows separately."""
    original = {**figures.original_numbers(rows), **reported_for(options, approximate_numbers(options))}
    separate = [row for row in rows if row.name in WITH_OWN_FIGURES]
    return {
        **figures.comparison(options, rows, "comparison_epochs.png", TITLE, original=original),
        **figures.comparison(options, rows, "comparison_time.png", TITLE, x_axis="time", original=original),
        **figures.curves_of_rows(options, separate, {row.name: original[row.name] for row in separate}),
    }


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", optimizers)
main = EXPERIMENT.main
