"""What all command lines share: parsing into a dataclass, errors of one line, and output that may be cut off.

Results go to standard output; progress, notes and errors to standard error.
"""

import ast
import io
import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

import tyro

EXIT_STATUS = {
    "0": "done",
    "1": "done in part: an image could not be read, or a training diverged",
    "2": "an error; one line says what is wrong and what to do",
    "130, 143": "interrupted (Ctrl-C, SIGTERM); the same command resumes the work",
}

SIMILAR = r"^(?:Perhaps you meant|Arguments similar to .*?): (--[\w.-]+)"  # tyro's words, and an option
SHORTEST_BROKEN = 30  # characters of an argument; tyro's lines have 40 to 80, with their frame

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


def parse(
    options_type: type[Options],
    program: str,
    description: str,
    args: Sequence[str] | None = None,
    examples: Sequence[str] = (),
) -> Options:
    """Return the options of a command line.

    Args:
        options_type: a dataclass whose docstring explains each option.
        program: the command as a module, for example `python -m cnn3.predict`; messages name it as it was started.
        description: the first paragraphs of `--help`, wrapped anew.
        args: the arguments; None means those of the process.
        examples: the arguments of commands to show at the end of `--help`.

    Raises:
        UsageError: the arguments are not valid.
        SystemExit: the arguments ask for help, which has been printed.
    """
    program = as_started(program)
    help_text = _HelpText(sys.stdout)
    try:
        with _usage_errors(program, args), redirect_stdout(help_text):
            return tyro.cli(options_type, prog=program, description="", args=args)
    except SystemExit:
        usage, _, options = help_text.getvalue().partition("\n")
        print(usage, "", _wrapped(description), options, sep="\n", end="")
        if examples:
            print("examples:", *(f"  {program} {example}" for example in examples), sep="\n")
        raise


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
    with _usage_errors(as_started(program), given):
        known, _ = tyro.cli(options_type, prog=program, args=given, return_unknown_args=True)
        return known


class _HelpText(io.StringIO):
    """Collects help, which tyro writes in the characters and colours of the stream that will show it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()


def _wrapped(paragraphs: str) -> str:
    """Return paragraphs with the line breaks that the terminal's width asks for; tyro has none of its own."""
    width = shutil.get_terminal_size().columns
    return "\n\n".join(
        textwrap.fill(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs.split("\n\n")
    )


@contextmanager
def _usage_errors(program: str, args: Sequence[str] | None) -> Iterator[None]:
    """Turn what tyro prints before it exits into a UsageError."""
    if os.environ.get("NO_COLOR"):
        tyro._experimental_options["ansi_codes"] = False
    stderr = io.StringIO()
    try:
        with redirect_stderr(stderr):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        error = _unbroken(_first_error(stderr.getvalue()), sys.argv[1:] if args is None else args)
        raise UsageError(f"{error}; see {program} --help") from None


def docstring(module: str) -> str:
    """Return the docstring of a module, which is not imported.

    Args:
        module: its full name; its package is imported.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"there is no module {module}", name=module)
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""


def as_started(program: str) -> str:
    """Return `cnn3 NAME` for `python -m PACKAGE.NAME` if that is how the process was started."""
    return f"cnn3 {program.rsplit('.', 1)[1]}" if Path(sys.argv[0]).stem == "cnn3" else program


def tolerate_lost_output() -> None:
    """Let a command do its work though its output is cut off (`| head -1`) or has characters the terminal lacks.

    What a closed pipe cannot take is dropped, and an unknown character is replaced. Streams that something else has
    put in place of the process's own, such as a notebook, are left alone.
    """
    for name in ("stdout", "stderr"):
        stream, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is not None and stream is own:
            setattr(sys, name, _tolerant(stream))


def _tolerant(stream: TextIO) -> TextIO:
    stream.flush()
    file = io.BufferedWriter(_DroppingFile(stream.fileno(), "w", closefd=False))
    errors = "replace" if stream.errors == "strict" else stream.errors
    return io.TextIOWrapper(file, stream.encoding, errors, line_buffering=True)


class _DroppingFile(io.FileIO):
    """A file that drops what its reader no longer takes."""

    def write(self, data: Any) -> int:
        """Write bytes, and return how many were taken or dropped."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


@contextmanager
def verbosity(quiet: bool, verbose: bool) -> Iterator[None]:
    """Set how much a command says on standard error while it works.

    Args:
        quiet: leave out progress and notes, but not warnings.
        verbose: log also what is read, decoded and cached.
    """
    logging.basicConfig(format="%(message)s")
    logger, stderr = logging.getLogger("cnn3"), sys.stderr
    level = logger.level
    logger.setLevel(logging.INFO if verbose else level)
    try:
        with redirect_stderr(io.StringIO() if quiet else stderr):
            yield
    finally:
        logger.setLevel(level)


def note(text: object) -> None:
    """Print what is being done on standard error, which leaves standard output to the results."""
    print(text, file=sys.stderr)


def report(error: Exception) -> int:
    """Print an error on standard error, and return the exit status of a command that it ends."""
    print(one_line(error), file=sys.stderr)
    return 2


def one_line(error: Exception) -> str:
    """Return the line that a command prints for an error before it exits."""
    return f"error: {printable(' '.join(str(error).split()))}"


def printable(text: object) -> str:
    """Return text in which each character that cannot be printed, or controls the terminal, is an escape sequence."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def _first_error(message: str) -> str:
    """Return the first error that tyro printed, without its frame and heading, and the option most like a wrong one."""
    lines = [line.strip("╭╮╰╯│─ ") for line in message.strip().splitlines()]
    paragraphs = [list(part) for rule, part in groupby(lines[1:], lambda line: not line.strip("-")) if not rule]
    error = " ".join(paragraphs[0]).removeprefix("Error parsing ").rstrip(".")
    similar = re.search(SIMILAR, " ".join(line for part in paragraphs[1:] for line in part))
    return f"{error} (did you mean {similar[1]}?)" if similar else error


def _unbroken(message: str, args: Sequence[str]) -> str:
    """Return a message without the blanks in arguments that were too long for one of tyro's lines."""
    for value in (arg.partition("=")[2] if arg.startswith("--") else arg for arg in args):
        if len(value) > SHORTEST_BROKEN:
            message = re.sub(" ?".join(map(re.escape, value)), lambda _, value=value: value, message)
    return message
