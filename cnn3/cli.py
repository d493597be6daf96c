"""What all command lines share: parsing into a dataclass, and errors of one line."""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from itertools import groupby
from typing import Literal, TypeVar

import tyro

Options = TypeVar("Options")


class UsageError(Exception):
    """A command line that cannot be carried out; the message names the option and what is allowed."""


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an integer") from None


# Annotations of an option that is an integer, and of one that is an integer or "auto".
INT_OPTION = tyro.constructors.PrimitiveConstructorSpec[int | None](
    nargs=1,
    metavar="N",
    instance_from_str=lambda args: _parse_int(args[0]),
    is_instance=lambda value: value is None or isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)
INT_OR_AUTO_OPTION = tyro.constructors.PrimitiveConstructorSpec[int | Literal["auto"]](
    nargs=1,
    metavar="N|auto",
    instance_from_str=lambda args: "auto" if args[0] == "auto" else _parse_int(args[0]),
    is_instance=lambda value: value == "auto" or isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)


def parse(options_type: type[Options], program: str, description: str, args: Sequence[str] | None = None) -> Options:
    """Return the options of a command line.

    Args:
        options_type: a dataclass whose docstring explains each option.
        program: the command, for example `python -m cnn3.predict`.
        description: the first paragraph of `--help`.
        args: the arguments; None means those of the process.

    Raises:
        UsageError: the arguments are not valid.
        SystemExit: the arguments ask for help, which has been printed.
    """
    with _usage_errors(program):
        return tyro.cli(options_type, prog=program, description=description, args=args)


def parse_known(options_type: type[Options], program: str, args: Sequence[str] | None = None) -> Options:
    """Return the options of a class that a command line has, whatever else it has.

    Args:
        options_type: as for `parse`.
        program: the command.
        args: the arguments; None means those of the process.

    Raises:
        UsageError: one of these options is not valid.
    """
    given = [arg for arg in (sys.argv[1:] if args is None else args) if arg not in ("-h", "--help")]
    with _usage_errors(program):
        known, _ = tyro.cli(options_type, prog=program, args=given, return_unknown_args=True)
        return known


@contextmanager
def _usage_errors(program: str) -> Iterator[None]:
    """Turn what tyro prints before it exits into a UsageError."""
    stderr = io.StringIO()
    try:
        with redirect_stderr(stderr):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_first_error(stderr.getvalue())}; see {program} --help") from None


def one_line(error: Exception) -> str:
    """Return the line that a command prints for an error before it exits."""
    return f"error: {' '.join(str(error).split())}"


def _first_error(message: str) -> str:
    """Return the first error that tyro printed, without its frame, heading and hints."""
    lines = [line.strip("╭╮╰╯│─ ") for line in message.strip().splitlines()]
    paragraphs = [list(part) for rule, part in groupby(lines[1:], lambda line: not line.strip("-")) if not rule]
    return " ".join(paragraphs[0]).removeprefix("Error parsing ").rstrip(".")
