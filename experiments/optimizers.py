"""The training algorithms (report, section 6, figures 18 to 23).

Trains the tuned model (batch norm, learning rate 0.0001, batch size 64) with SGD, SGD with momentum 0.9, RMSprop and
Adam, as the report does, and with AdamW, which it does not have. Adam alone has the L2 penalty of 0.0003, as in the
report's program; AdamW decays by as much, beside the gradient. Adam's run is the tuned run of the other experiments.
"""

import sys
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import OPTIMIZERS, plots
from experiments import figures, reported
from experiments.common import Options, Run, run_all
from experiments.publish import Report, conduct
from experiments.tables import (
    NOTHING,
    Row,
    Table,
    beside,
    count,
    endings,
    measured,
    reading,
    results_table,
    runs_table,
    spread,
    words_table,
)

NAME = "optimizers"
TITLE = "Training algorithms (report, section 6)"
ACCURACIES = (0.5, 0.6, 0.7, 0.8)  # whose first epoch is told
ALONE = ("sgd", "momentum", "rmsprop")  # with figures of their own in the original study, 18 to 23
TOLD: Mapping[str, plots.PrintedNumbers] = {  # in the words of sections 6.1 and 6.2: "around"
    "sgd": {("validation", "accuracy"): plots.Printed(0.63, 150)},
    "momentum": {("validation", "accuracy"): plots.Printed(0.8, 120)},
}


def optimizers(options: Options) -> Report:
    """Train with each optimizer and return what that shows."""
    configs = {name: options.tuned(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()}
    runs = run_all(options, NAME, configs)
    printed = beside(options, {"adam": reported.TUNED})
    rows = [Row(name, runs[name], printed.get(name)) for name in configs]
    tables = {"Results": results_table(rows, "optimizer"), "Convergence": convergence_table(rows)}
    said = beside(options, reported.OPTIMIZERS)
    if said:
        found = counterparts(runs)
        words = [(name, statement, found[name, statement.section]) for name, of in said.items() for statement in of]
        tables["What the report says"] = words_table(words, "optimizer")
    tables["Runs"] = runs_table(rows, "optimizer")
    return Report(NAME, TITLE, rows, notes(options), tables, drawn(options, rows))


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables must know."""
    return [
        "An accuracy is reached in the first epoch, counted from 1, whose validation accuracy is as high or higher. "
        "Training time is that of the epochs, with validation, without compilation, on the machine of each run.",
        *reading(
            options,
            "The report prints no table of the optimizers but the numbers of Adam's run, the tuned one "
            f"({reported.TUNED.source}): {reported.AS_PUBLISHED}.",
        ),
    ]


def epochs_to(run: Run, accuracy: float) -> int | None:
    """Return how many epochs a run took to reach a validation accuracy, None if it never did."""
    reached = (record["epoch"] + 1 for record in run.history if record["validation"]["accuracy"] >= accuracy)
    return next(reached, None)


def reached(runs: Sequence[Run], accuracy: float) -> str:
    """Return for a reader how many epochs runs took to reach a validation accuracy, a dash if none did."""
    return count([epochs_to(run, accuracy) for run in runs])


def convergence_table(rows: Sequence[Row]) -> Table:
    """Return how far each optimizer came, how fast, and why it ended."""
    levels = [f"epochs to {accuracy:g}" for accuracy in ACCURACIES]
    header = ["optimizer", "ended", "epochs", "best validation accuracy", "test accuracy", *levels]
    lines = []
    for row in rows:
        accuracies = [measured(row.runs, split, "accuracy") for split in ("validation", "test")]
        epochs = count([run.summary["epochs"] for run in row.runs])
        times = [reached(row.runs, accuracy) for accuracy in ACCURACIES]
        lines.append([row.name, endings(row.runs), epochs, *accuracies, *times])
    return Table(header, lines, 2)


def counterparts(runs: Mapping[str, Sequence[Run]]) -> dict[tuple[str, str], str]:
    """Return what was measured of each statement of the report, by optimizer and section."""

    def best(name: str) -> str:
        return f"{name}: validation {measured(runs[name], 'validation', 'accuracy')}, test {test(name)}"

    def test(name: str) -> str:
        return measured(runs[name], "test", "accuracy")

    def first(name: str, accuracy: float) -> str:
        epochs = reached(runs[name], accuracy)
        return (
            f"{name} never reached {accuracy:g}"
            if epochs == NOTHING
            else f"{name} reached {accuracy:g} in epoch {epochs}"
        )

    rivals = f"{best('rmsprop')}; {best('adam')}; {first('rmsprop', 0.8)}; {first('adam', 0.8)}"
    everyone = "; ".join(map(best, runs))
    return {
        ("sgd", "6.1"): last_accuracy(runs["sgd"]),
        ("sgd", "8"): f"{first('sgd', 0.6)}; {first('momentum', 0.6)}; {first('adam', 0.6)}",
        ("momentum", "6.2"): f"{first('momentum', 0.8)}; {last_accuracy(runs['momentum'])}",
        ("momentum", "8"): f"{last_accuracy(runs['momentum'])}; {best('momentum')}; {best('sgd')}",
        ("rmsprop", "6.3"): rivals,
        ("rmsprop", "8"): rivals,
        ("adam", "6.4"): everyone,
        ("adam", "8"): everyone,
    }


def last_accuracy(runs: Sequence[Run]) -> str:
    """Return in words the validation accuracy of the last epoch, which it was, and why it was the last."""
    last = spread([run.history[-1]["validation"]["accuracy"] if run.history else None for run in runs])
    return f"{last} in the last epoch, {count([len(run.history) for run in runs])}: {endings(runs)}"


def drawn(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the plots by file name: all in one by epoch and by time, and those that the original study shows alone."""
    title, original = "Training algorithms", {**figures.originals(rows), **beside(options, TOLD)}
    alone = [row for row in rows if row.name in ALONE]
    return {
        **figures.comparison(options, rows, "comparison_epochs.png", title, original=original),
        **figures.comparison(options, rows, "comparison_time.png", title, against="time", original=original),
        **figures.each(options, alone, {row.name: original[row.name] for row in alone}),
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return conduct(optimizers, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
