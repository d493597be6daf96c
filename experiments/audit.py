"""What each defect of the original program does to its numbers (the protocol, one part at a time).

Trains the tuned run with none of the defects, with each alone, and with all of them, from the same initial weights on
the same split, and sets the reported numbers beside those of the run without any. Latents, which one defect concerns,
have an experiment of their own.
"""

import sys
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import PROTOCOLS, Protocol, plots
from cnn3.cli import UsageError
from experiments.support import figures
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.reported import TUNED
from experiments.support.runner import Run, run_all
from experiments.support.tables import (
    METRICS,
    MISSING,
    SPLITS,
    Row,
    Table,
    format_mean_std,
    reported_for,
    results_table,
    runs_table,
    table_notes,
)

NAME = "audit"
TITLE = "What the defects of the original program do to its numbers"
NONE, ALL = "none (corrected)", "all (published)"
DEFECTS: Mapping[str, Protocol] = {
    NONE: PROTOCOLS["corrected"],
    "last norm thrown away": Protocol(discard_last_norm=True),
    "validation in training mode": Protocol(validate_in_training_mode=True),
    "accuracy by full batches": Protocol(pad_accuracy=True),
    "loss as mean of batch means": Protocol(mean_of_batch_means=True),
    ALL: PROTOCOLS["published"],
}


def audit(options: Options) -> Report:
    """Train with each defect and return what that shows.

    Raises:
        UsageError: a protocol was asked for.
    """
    if options.protocol != "corrected":
        raise UsageError(
            "protocol has no meaning here: the audit runs both, and each defect alone; leave --protocol out"
        )
    runs = run_all(options, NAME, {name: options.tuned(protocol=protocol) for name, protocol in DEFECTS.items()})
    printed = reported_for(options, {ALL: TUNED})
    rows = [Row(name, runs[name], printed.get(name)) for name in DEFECTS]
    tables = {
        "Difference to the run without defects": differences_table(runs),
        "Results": results_table(rows, "defect"),
        "Runs": runs_table(rows, "defect"),
    }
    return Report(NAME, TITLE, rows, notes(options, runs), tables, make_figures(options, rows))


def differences(runs: Sequence[Run], without: Sequence[Run], split: str, metric: str) -> list[float | None]:
    """Return, for each seed, how far a metric of the best epoch lies above that of the run without defects."""
    pairs = [(run.summary[split], other.summary[split]) for run, other in zip(runs, without, strict=True)]
    return [ours[metric] - other[metric] if ours and other else None for ours, other in pairs]


def differences_table(runs: Mapping[str, Sequence[Run]]) -> Table:
    """Return how far each defect moves each number; accuracies in percentage points ("points")."""
    columns = [(split, metric) for metric in reversed(METRICS) for split in SPLITS]
    header = ["defect", *(f"{split} {'loss' if metric == 'loss' else 'points'}" for split, metric in columns)]
    lines = []
    for name, of in runs.items():
        if name == NONE:
            continue
        line = [name]
        for split, metric in columns:
            moved = differences(of, runs[NONE], split, metric)
            scale = 100 if metric == "accuracy" else 1
            line.append(_signed([None if value is None else scale * value for value in moved], scale))
        lines.append(line)
    return Table(header, lines, 1)


def _signed(values: Sequence[float | None], scale: int) -> str:
    text = format_mean_std(values, 2 if scale > 1 else 4)
    return text if text == MISSING or text.startswith("-") else f"+{text}"


def optimism(runs: Sequence[Run]) -> list[float | None]:
    """Return by how many points validation accuracy, by which epochs are chosen, exceeds test accuracy, a seed each."""
    summaries = [run.summary for run in runs]
    return [100 * (s["validation"]["accuracy"] - s["test"]["accuracy"]) if s["test"] else None for s in summaries]


def notes(options: Options, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return what a reader of the tables must know, and what follows from them."""
    whole = differences(runs[ALL], runs[NONE], "test", "accuracy")
    return [
        "Each row has a protocol of its own. Points are percentage points of accuracy. All runs of a seed share split, "
        "initial weights, order and augmentation, so differences come from the defects alone; two of them, the loss as "
        "mean of batch means and the accuracy by full batches, change nothing of the training.",
        f"All defects together move test accuracy by {_signed([v and 100 * v for v in whole], 100)} points. Validation "
        f"accuracy exceeds test accuracy by {format_mean_std(optimism(runs[ALL]), 2)} points with them and by "
        f"{format_mean_std(optimism(runs[NONE]), 2)} without.",
        *(["A difference of one seed says little: --seeds 5 shows its spread."] if options.seeds == 1 else []),
        *table_notes(options, f"The original study's numbers are those of its tuned run ({TUNED.source})."),
    ]


def make_figures(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the plot by file name: how far each defect moves each accuracy.

    There are no curves of the runs: they differ by less than the width of a line.
    """
    without = rows[0].runs
    moved = {
        display(split): {display(row.name): differences(row.runs, without, split, "accuracy") for row in rows[1:]}
        for split in SPLITS
    }
    points = {
        split: {name: [v and 100 * v for v in of] for name, of in named.items()} for split, named in moved.items()
    }
    title = f"Change in accuracy caused by each defect, on {display(options.dataset)}"
    unit = "Change in accuracy (percentage points)"
    return {"differences.png": plots.difference_plot(points, unit, title, figures.subtitle(options))}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(audit, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
