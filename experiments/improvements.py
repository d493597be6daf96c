"""The improvement techniques (report, sections 3 and 4, figures 3 to 14).

Trains the baseline and the three variants that the report tries, batch norm, dropout and dense, with its default run:
Adam, learning rate 0.001, batch size 128, L2 penalty 0.0003.
"""

import sys
from collections.abc import Sequence

from matplotlib.figure import Figure

from cnn3 import VARIANTS
from experiments import figures
from experiments.common import Options, run_all
from experiments.publish import Report, conduct
from experiments.reported import AS_PUBLISHED, BASELINE_TEST_ACCURACY, IMPROVEMENTS
from experiments.tables import Row, beside, reading, results_table, runs_table

NAME = "improvements"
TITLE = "Improvement techniques (report, sections 3 and 4)"


def improvements(options: Options) -> Report:
    """Train the four variants and return what they show."""
    runs = run_all(options, NAME, {name: options.config(model=model) for name, model in VARIANTS.items()})
    reported = beside(options, IMPROVEMENTS)
    rows = [Row(name, runs[name], reported.get(name)) for name in VARIANTS]
    tables = {"Results": results_table(rows, "variant"), "Runs": runs_table(rows, "variant")}
    return Report(NAME, TITLE, rows, notes(options), tables, drawn(options, rows))


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables must know."""
    contradiction = " and ".join(f"{accuracy} ({where})" for where, accuracy in BASELINE_TEST_ACCURACY.items())
    return reading(
        options,
        f"The report's are those of figures 3, 6, 9 and 12: {AS_PUBLISHED}. "
        f"It gives the baseline's test accuracy twice: {contradiction}.",
    )


def drawn(options: Options, rows: Sequence[Row]) -> dict[str, Figure]:
    """Return the plots by file name: all variants in one, and accuracy and loss of each."""
    return {
        **figures.comparison(options, rows, "comparison.png", "Improvement techniques"),
        **figures.each(options, rows),
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return conduct(improvements, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
