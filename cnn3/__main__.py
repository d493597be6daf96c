"""The command `cnn3`: `cnn3 NAME` runs `python -m experiments.NAME` or `python -m cnn3.NAME`."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

import cnn3
from cnn3 import cli
from cnn3.cli import UsageError

HOME = Path(__file__).resolve().parents[1]  # holds the packages cnn3 and experiments
EXAMPLES = ("improvements --dataset digits --epochs 9", "predict cat.png")
NO_EXPERIMENTS = {"__main__", "support"}


def main(args: Sequence[str] | None = None) -> int:
    """Run a command by its name.

    Args:
        args: the name and the command line of the command; None takes those of the process.

    Returns:
        the exit status, as `cnn3.cli` lists them.
    """
    cli.tolerate_lost_output()
    name, *rest = [*(sys.argv[1:] if args is None else args)] or ["--help"]
    if name in {"-h", "--help"}:
        print(overview())
        return 0
    if name == "--version":
        print(f"cnn3 {cnn3.__version__}")
        return 0
    try:
        return run(name, rest)
    except UsageError as error:
        return cli.report(error)


def run(name: str, args: Sequence[str]) -> int:
    """Run a command and return its exit status.

    Raises:
        UsageError: there is no such command.
    """
    if name in own_commands():
        return import_module(f"cnn3.{name}.__main__").main(args)
    if name in experiments():
        _prefer_own_experiments()
        return import_module("experiments.support.entry").run(name, args)
    close = difflib.get_close_matches(name, [*own_commands(), *experiments()], n=1)
    hint = f"did you mean {close[0]}?" if close else "cnn3 --help lists them"
    raise UsageError(f"there is no command {name!r}: {hint}")


def own_commands() -> list[str]:
    """Return the names of cnn3's own commands: its packages that can be run."""
    return sorted(path.parent.name for path in (HOME / "cnn3").glob("*/__main__.py"))


def experiments() -> list[str]:
    """Return the names of the experiments."""
    return [module.name for module in iter_modules([str(HOME / "experiments")]) if module.name not in NO_EXPERIMENTS]


def _prefer_own_experiments() -> None:
    """Let `experiments` be the package that came with cnn3, though the working directory may hold another."""
    package = find_spec("experiments")
    if package is None or str(HOME / "experiments") not in (package.submodule_search_locations or ()):
        sys.path.insert(0, str(HOME))


def overview() -> str:
    """Return the names of all commands, each with the first sentence of its description."""
    _prefer_own_experiments()
    own = {name: summary(f"cnn3.{name}.__main__") for name in own_commands()}
    studies = {name: summary(f"experiments.{name}") for name in experiments()}
    options = {
        "--help": "this list; cnn3 COMMAND --help explains a command",
        "--version": "the version of cnn3",
    }
    parts = {
        "experiments, which rebuild the original study and go beyond it": studies,
        "other commands": own,
        "options": options,
        "exit status": cli.EXIT_STATUS,
    }
    width = max(len(name) for entries in parts.values() for name in entries)
    lines = ["usage: cnn3 COMMAND ...", "", str(cnn3.__doc__).split("\n", 1)[0], ""]
    for heading, entries in parts.items():
        lines += [f"{heading}:", *(f"  {name:{width}}  {text}" for name, text in entries.items()), ""]
    return "\n".join([*lines, "examples:", *(f"  cnn3 {example}" for example in EXAMPLES)])


def summary(module: str) -> str:
    """Return the first line of a module's description, without its last full stop."""
    return cli.docstring(module).split("\n", 1)[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
