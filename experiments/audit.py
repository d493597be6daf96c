"""What each defect of the original program does to its numbers (the protocol, one part at a time).

Trains the tuned run with none of the defects, with each alone, and with all of them, from the same initial weights on
the same split, and compares the reported numbers with those of the run without any. One defect concerns latents only;
these have an experiment of their own.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("audit"))


from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import PROTOCOLS, Protocol, plots
from cnn3.cli import UsageError
from experiments.support import figures
from experiments.support.display_names import display_title
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.reported import TUNED
from experiments.support.run import METRICS, SPLITS, Run
from experiments.support.runner import run_all
from experiments.support.tables import (
    MISSING,
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
    """Train with each defect and return the report.

    Raises:
        UsageError: the options name a protocol.
    """
    if options.protocol != "corrected":
        raise UsageError("the audit runs both protocols, and each defect alone; leave --protocol out")
    runs = run_all(options, NAME, {name: options.tuned(protocol=protocol) for name, protocol in DEFECTS.items()})
    printed = reported_for(options, {ALL: TUNED})
    rows = [Row(name, runs[name], printed.get(name)) for name in DEFECTS]
    tables = {
        "Difference to the run without defects": differences_table(runs),
        "Results": results_table(rows, "defect"),
        "Runs": runs_table(rows, "defect"),
    }
    return Report(NAME, TITLE, rows, notes(options, runs), tables, make_figures(options, rows))


def differences(runs: Sequence[Run], reference: Sequence[Run], split: str, metric: str) -> list[float | None]:
    """Return a metric minus that of the run without defects, for each seed; accuracies in percentage points.

    It is None where one of the two runs is missing or lacks the metric.
    """
    scale = 100 if metric == "accuracy" else 1
    others = {other.config.seed: other.summary.metric(split, metric) for other in reference}
    values = [(run.summary.metric(split, metric), others.get(run.config.seed)) for run in runs]
    return [None if a is None or b is None else scale * (a - b) for a, b in values]


def differences_table(runs: Mapping[str, Sequence[Run]]) -> Table:
    """Return the change that each defect causes in each number; accuracies in percentage points."""
    columns = [(split, metric) for metric in reversed(METRICS) for split in SPLITS]
    header = ["defect", *(f"{split} {'loss' if metric == 'loss' else 'points'}" for split, metric in columns)]
    lines = [
        [name, *(_format_change(differences(row, runs[NONE], *column), column[1]) for column in columns)]
        for name, row in runs.items()
        if name != NONE
    ]
    return Table(header, lines, 1)


def _format_change(values: Sequence[float | None], metric: str) -> str:
    text = format_mean_std(values, 2 if metric == "accuracy" else 4)
    return text if text == MISSING or text.startswith("-") else f"+{text}"


def optimism(runs: Sequence[Run]) -> list[float | None]:
    """Return validation accuracy, which selects the epoch, minus test accuracy, in points for each seed."""
    summaries = [run.summary for run in runs]
    return [
        100 * (summary.validation.accuracy - summary.test.accuracy) if summary.validation and summary.test else None
        for summary in summaries
    ]


def notes(options: Options, runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return the notes that readers of the tables need, and the conclusions."""
    change = _format_change(differences(runs[ALL], runs[NONE], "test", "accuracy"), "accuracy")
    return [
        "Each row has a protocol of its own. Points are percentage points of accuracy. All runs of a seed share split, "
        "initial weights, order and augmentation, so differences come from the defects alone. Two of them, the loss as "
        "mean of batch means and the accuracy by full batches, do not affect training.",
        f"All defects together change test accuracy by {change} points. Validation accuracy exceeds test accuracy by "
        f"{format_mean_std(optimism(runs[ALL]), 2)} points with them and by "
        f"{format_mean_std(optimism(runs[NONE]), 2)} without.",
        *(["A difference of one seed says little: --seeds 5 shows its spread."] if options.seeds == 1 else []),
        *table_notes(options, f"The original study's numbers are those of its tuned run ({TUNED.source})."),
    ]


def make_figures(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the figure by file name: the change that each defect causes in each accuracy.

    There are no curves of the runs: they differ by less than the width of a line.
    """
    reference = rows[0].runs
    points = {
        display_title(split): {
            display_title(row.name): differences(row.runs, reference, split, "accuracy") for row in rows[1:]
        }
        for split in SPLITS
    }
    title = f"Change in accuracy caused by each defect, on {display_title(options.dataset)}"
    unit = "Change in accuracy (percentage points)"
    return {"differences.png": plots.difference_plot(points, unit, title, figures.subtitle(options))}


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", audit)
main = EXPERIMENT.main
