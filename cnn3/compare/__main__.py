"""Compare runs: draw their accuracy and loss by epoch in one figure, and print their results.

Runs are named by the settings in which they differ, by their folders if that takes too many words, or as --names says.
A run that has not finished is shown as far as it is.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cnn3 import cli
from cnn3.cli import UsageError

PROGRAM = "python -m cnn3.compare"
EXAMPLES = (
    "results/digits/runs/* --output comparison.png",
    "FIRST_RUN SECOND_RUN --names Adam 'Adam, decayed'",
)

_RUNS = tyro.conf.arg(metavar="RUN...", help_behavior_hint="")
_NAMES = tyro.conf.arg(metavar="NAME...", help_behavior_hint="(default: what differs, or the folders)")


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        runs: folders of runs, each with its config.json.
        output: the figure.
        names: the names of the runs in figure and table, in the order of the runs.
        json: print a JSON array with the results and settings of each run, instead of the table.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, _RUNS]
    output: Annotated[Path, tyro.conf.arg(metavar="FILE.png")] = Path("comparison.png")
    names: Annotated[tuple[str, ...], _NAMES] = ()
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 2 after an error.
    """
    cli.tolerate_lost_output()
    try:
        _compare(_parse(args))
    except UsageError as error:
        return cli.report(error)
    return 0


def _parse(args: Sequence[str] | None) -> Options:
    options = cli.parse(Options, PROGRAM, __doc__ or "", args, EXAMPLES)
    if not options.runs:
        raise UsageError(f"name the folder of at least one run; see {cli.as_started(PROGRAM)} --help")
    if len({path.resolve() for path in options.runs}) < len(options.runs):
        raise UsageError("a run is named twice")
    if options.names and len(options.names) != len(options.runs):
        raise UsageError(
            f"--names must have one name for each of the {len(options.runs)} runs, not {len(options.names)}"
        )
    if len(set(options.names)) < len(options.names):
        raise UsageError("--names has a name twice")
    if options.output.suffix != ".png":
        raise UsageError(f"--output must end in .png, not {options.output}")
    return options


def _compare(options: Options) -> None:
    """Draw the figure and print the results.

    Raises:
        UsageError: a run cannot be read, or the figure cannot be written.
    """
    from cnn3 import plots  # these import JAX and matplotlib, which help and wrong options need not wait for
    from cnn3.compare.results import draw, name_runs, results_table
    from cnn3.files import OutputError
    from cnn3.runs.records import flatten, read_run

    try:
        runs = [read_run(folder) for folder in options.runs]
        names = options.names or name_runs(runs)
        for name in names:
            if name.startswith("_"):
                raise UsageError(f"{name} begins with _, which keeps it out of the legend; name it with --names")
        plots.save(draw(names, runs), options.output)
    except OutputError as error:
        raise UsageError(str(error)) from None
    if options.json:
        print(json.dumps([{"name": name, **flatten(run)} for name, run in zip(names, runs, strict=True)]))
    else:
        print(results_table(names, runs))
        print(f"wrote {options.output}")


if __name__ == "__main__":
    sys.exit(main())
