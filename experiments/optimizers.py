"""The training algorithms (original study, section 6, figures 18 to 23).

Trains the tuned model (batch norm, learning rate 0.0001, batch size 64) with SGD, SGD with momentum 0.9, RMSprop and
Adam, as the original study does, and with AdamW, which it does not have. Adam alone has the L2 penalty of 0.0003, as in
the original program; AdamW decays the weights by as much, apart from the gradient. Adam's run is the tuned run of the
other experiments.
"""

import sys
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import OPTIMIZERS, plots
from experiments.support import figures, reported
from experiments.support.names import shown
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.runner import Run, run_all
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
from experiments.support.verdict_tables import verdict_table

NAME = "optimizers"
TITLE = "Training algorithms"
ACCURACIES = (0.5, 0.6, 0.7, 0.8)  # whose first epoch is told
ALONE = ("sgd", "momentum", "rmsprop")  # with figures of their own in the original study, 18 to 23
TOLD: Mapping[str, plots.ReportedNumbers] = {  # in the words of sections 6.1 and 6.2: "around"
    "sgd": {("validation", "accuracy"): plots.ReportedNumber(0.63, 150)},
    "momentum": {("validation", "accuracy"): plots.ReportedNumber(0.8, 120)},
}


def optimizers(options: Options) -> Report:
    """Train with each optimizer and return what that shows."""
    configs = {name: options.tuned(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()}
    runs = run_all(options, NAME, configs)
    printed = reported_for(options, {"adam": reported.TUNED})
    rows = [Row(name, runs[name], printed.get(name)) for name in configs]
    tables = {"Results": results_table(rows, "optimizer"), "Convergence": convergence_table(rows)}
    tables |= verdict_table(options, NAME, rows)
    tables["Runs"] = runs_table(rows, "optimizer")
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, rows))


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables must know."""
    return [
        "An accuracy is reached in the first epoch, counted from 1, whose validation accuracy is as high or higher. "
        "Training time is that of the epochs, with validation, without compilation, on the machine of each run.",
        *table_notes(
            options,
            "The original study shows plots of the optimizers and prints no numbers but those of Adam's run, the tuned "
            f"one ({reported.TUNED.source}).",
        ),
    ]


def epochs_to(run: Run, accuracy: float) -> int | None:
    """Return how many epochs a run took to reach a validation accuracy, None if it never did."""
    reached = (record["epoch"] + 1 for record in run.history if record["validation"]["accuracy"] >= accuracy)
    return next(reached, None)


def format_epochs_to(runs: Sequence[Run], accuracy: float) -> str:
    """Return for a reader how many epochs runs took to reach a validation accuracy, a dash if none did."""
    return format_count([epochs_to(run, accuracy) for run in runs])


def convergence_table(rows: Sequence[Row]) -> Table:
    """Return how far each optimizer came, how fast, and why it ended."""
    levels = [f"epochs to {accuracy:g}" for accuracy in ACCURACIES]
    header = ["optimizer", "ended", "epochs", "best validation accuracy", "test accuracy", *levels]
    lines = []
    for row in rows:
        accuracies = [format_metric(row.runs, split, "accuracy") for split in ("validation", "test")]
        epochs = format_count([run.summary["epochs"] for run in row.runs])
        times = [format_epochs_to(row.runs, accuracy) for accuracy in ACCURACIES]
        lines.append([shown(row.name), stop_reasons(row.runs), epochs, *accuracies, *times])
    return Table(header, lines, 2)


def make_figures(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the plots by file name: all in one by epoch and by time, and those that the original study shows alone."""
    title, original = "Training algorithms", {**figures.originals(rows), **reported_for(options, TOLD)}
    alone = [row for row in rows if row.name in ALONE]
    return {
        **figures.comparison(options, rows, "comparison_epochs.png", title, original=original),
        **figures.comparison(options, rows, "comparison_time.png", title, against="time", original=original),
        **figures.each(options, alone, {row.name: original[row.name] for row in alone}),
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(optimizers, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
