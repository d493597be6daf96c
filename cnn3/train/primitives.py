"""How the values of options are read from a command line and shown in `--help`."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tyro.constructors import PrimitiveConstructorSpec

NONE = "none"  # how a command line writes None


def choice(names: Iterable[str]) -> Any:
    """Return the annotation of an option that takes one of these names."""
    allowed = tuple(names)
    return PrimitiveConstructorSpec[Any](
        nargs=1,
        metavar=f"{{{','.join(allowed)}}}",
        instance_from_str=lambda args: args[0],
        is_instance=lambda value: value is None or value in allowed,
        str_from_instance=lambda value: [NONE if value is None else value],
        choices=allowed,
    )


def path_option(metavar: str) -> Any:
    """Return the annotation of an option that takes a path."""
    return PrimitiveConstructorSpec[Any](
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda args: Path(args[0]),
        is_instance=lambda value: value is None or isinstance(value, Path),
        str_from_instance=lambda value: [NONE if value is None else str(value)],
    )


def _number(kind: Callable[[str], float], name: str, *, or_none: bool) -> Any:
    """Return the annotation of an option that takes a number, or none if that is allowed."""
    allowed = f"{name} or {NONE}" if or_none else name

    def read(args: list[str]) -> float | None:
        if or_none and args[0].lower() == NONE:
            return None
        try:
            return kind(args[0])
        except ValueError:
            raise ValueError(f"{args[0]!r} is not {allowed}") from None

    metavar = "N" if kind is int else "X"
    return PrimitiveConstructorSpec[Any](
        nargs=1,
        metavar=f"{metavar}|{NONE}" if or_none else metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [NONE if value is None else f"{value:g}" if kind is float else str(value)],
    )


# By the type of a field. Fields of other types are read as tyro reads them.
PRIMITIVES: Mapping[Any, Any] = {
    int: _number(int, "an integer", or_none=False),
    float: _number(float, "a number", or_none=False),
    int | None: _number(int, "an integer", or_none=True),
    float | None: _number(float, "a number", or_none=True),
}
