"""What all command lines share: reading one into a dataclass, and telling in one line what is wrong with it."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from itertools import groupby
from typing import Literal, TypeVar

import tyro

Options = TypeVar("Options")


class UsageError(Exception):
    """A command line that asks for what cannot be done; the message names the option and what is allowed."""


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


COUNT = tyro.constructors.PrimitiveConstructorSpec[int | None](  # annotates an option that is a whole number
    nargs=1,
    metavar="N",
    instance_from_str=lambda args: _whole(args[0]),
    is_instance=lambda value: value is None or isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)

JOBS = tyro.constructors.PrimitiveConstructorSpec[int | Literal["auto"]](  # annotates one that may also be "auto"
    nargs=1,
    metavar="N|auto",
    instance_from_str=lambda args: "auto" if args[0] == "auto" else _whole(args[0]),
    is_instance=lambda value: value == "auto" or isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)


def parse(kind: type[Options], program: str, about: str, args: Sequence[str] | None = None) -> Options:
    """Return the options of a command line.

    Args:
        kind: a dataclass of the options, whose docstring explains each.
        program: how it is called, as `python -m cnn3.predict`.
        about: what `--help` says first.
        args: the command line; None is the process's own.

    Raises:
        UsageError: it cannot be understood.
        SystemExit: it asked for help, which was printed.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, prog=program, description=about, args=args)
    except SystemExit as end:
        if not end.code:
            raise
        raise UsageError(f"{_gist(said.getvalue())}; see {program} --help") from None


def one_line(error: Exception) -> str:
    """Return what a command says of an error before it ends."""
    return f"error: {' '.join(str(error).split())}"


def _gist(message: str) -> str:
    """Return what tyro says of an error, without its frame, heading and hints."""
    lines = [line.strip("╭╮╰╯│─ ") for line in message.strip().splitlines()]
    paragraphs = [list(part) for rule, part in groupby(lines[1:], lambda line: not line.strip("-")) if not rule]
    return " ".join(paragraphs[0]).removeprefix("Error parsing ").rstrip(".")
