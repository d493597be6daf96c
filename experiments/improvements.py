"""The improvement techniques (original study, sections 3 and 4, figures 3 to 14).

Trains the baseline and the three variants that the original study tries, batch norm, dropout and dense block, with its
default settings: Adam, learning rate 0.001, batch size 128, L2 penalty 0.0003.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("improvements"))


from collections.abc import Sequence

from matplotlib.figure import Figure

from cnn3 import VARIANTS
from experiments.support import figures
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.reported import BASELINE_TEST_ACCURACY, IMPROVEMENTS
from experiments.support.runner import run_all
from experiments.support.tables import Row, reported_for, results_table, runs_table, table_notes
from experiments.support.verdicts import judge_experiment

NAME = "improvements"
TITLE = "Improvement techniques"


def improvements(options: Options) -> Report:
    """Train the four variants and return the report."""
    runs = run_all(options, NAME, {name: options.config(model=model) for name, model in VARIANTS.items()})
    reported = reported_for(options, IMPROVEMENTS)
    rows = [Row(name, runs[name], reported.get(name)) for name in VARIANTS]
    tables = {
        "Results": results_table(rows, "variant"),
        "Runs": runs_table(rows, "variant"),
    }
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, rows), verdicts)


def notes(options: Options) -> list[str]:
    """Return the notes that readers of the tables need."""
    accuracies = " and ".join(f"{accuracy} ({source})" for source, accuracy in BASELINE_TEST_ACCURACY.items())
    return table_notes(
        options,
        "The original study's numbers are from figures 3, 6, 9 and 12. It gives the baseline's test accuracy twice, "
        f"with different numbers: {accuracies}.",
    )


def make_figures(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures by file name: all variants in one, and accuracy and loss of each."""
    return {
        **figures.comparison(options, rows, "comparison.png", "Improvement techniques"),
        **figures.curves_of_rows(options, rows),
    }


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", improvements)
main = EXPERIMENT.main
