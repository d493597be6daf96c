"""The entry point of the experiments' commands: a command line is checked before its experiment is imported."""

from collections.abc import Sequence
from importlib import import_module

from cnn3 import cli
from cnn3.cli import UsageError
from experiments.support.options import Options, parse
from experiments.support.reproduction import Reproduction

OPTIONS: dict[str, type[Options]] = {"reproduce": Reproduction}  # the others have Options itself


def run(name: str, args: Sequence[str] | None = None) -> int:
    """Run an experiment from the command line.

    Help and mistakes end here, since importing an experiment, and with it JAX, takes seconds.

    Args:
        name: the name of the module, as in `python -m experiments.NAME`.
        args: the command line; None takes that of the process.

    Returns:
        the exit status, as `cnn3.cli` lists them.

    Raises:
        SystemExit: the command line asked for help, which was printed.
    """
    cli.tolerate_lost_output()
    try:
        parse(OPTIONS.get(name, Options), name, cli.docstring(f"experiments.{name}"), args)
    except UsageError as error:
        return cli.report(error)
    return import_module(f"experiments.{name}").main(args)
