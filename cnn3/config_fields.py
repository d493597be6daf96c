"""Checks of a configuration's fields; each raises a ConfigError that names the field and what is allowed."""

import dataclasses
import reprlib
from typing import Any

FLOAT32_MIN, FLOAT32_MAX = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # positive numbers that float32 holds in full precision


class ConfigError(ValueError):
    """A value that no run can have; the message names the field and what is allowed."""


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise ConfigError(f"{name} must be {allowed}, not {_short_repr(value)}")


def require_bool(name: str, value: object) -> None:
    """Raise unless the value is True or False."""
    require(isinstance(value, bool), name, value, "true or false")


def require_int(name: str, value: Any, low: int, high: int = 2**31 - 1) -> None:
    """Raise unless the value is an integer in [low, high]."""
    integer = isinstance(value, int) and not isinstance(value, bool)
    require(integer and low <= value <= high, name, value, f"an integer from {low} to {high}")


def require_number(name: str, value: Any, allowed: str, low: float, high: float, *, exclude_high: bool = False) -> None:
    """Raise unless the value is a number in [low, high], or in [low, high) with `exclude_high`."""
    number = isinstance(value, float | int) and not isinstance(value, bool)
    require(number and low <= value and (value < high if exclude_high else value <= high), name, value, allowed)


def require_fraction(name: str, value: Any) -> None:
    """Raise unless the value is a number in [0, 1)."""
    require_number(name, value, "a number in [0, 1)", 0.0, 1.0, exclude_high=True)


def require_widths(name: str, widths: object) -> None:
    """Raise unless the value is a tuple of layer widths."""
    valid = isinstance(widths, tuple) and all(type(w) is int and 1 <= w <= 8192 for w in widths)
    require(valid, name, widths, "a tuple of integers from 1 to 8192")


def store_as_float(config: object, *names: str) -> None:
    """Turn valid numbers into floats, so that 1 and 1.0, and 0.0 and -0.0, are one configuration."""
    for name in names:
        object.__setattr__(config, name, float(getattr(config, name)) + 0.0)


def store_as_tuple(config: object, *names: str) -> None:
    """Turn lists into tuples, so that both serve."""
    for name in names:
        if isinstance(getattr(config, name), list):
            object.__setattr__(config, name, tuple(getattr(config, name)))


def fields_from_json(dataclass: Any, values: object, name: str) -> dict[str, Any]:
    """Return the arguments of a dataclass from what `json.loads` returned, lists as tuples.

    Raises:
        ConfigError: `values` is not an object, or a field is missing or unknown.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{name} must be an object, not {_short_repr(values)}")
    expected = {field.name for field in dataclasses.fields(dataclass)}
    problems = {"lacks": expected - set(values), "has the unknown": set(values) - expected}
    for problem, fields in problems.items():
        if fields:
            raise ConfigError(f"{name} {problem} field{'s' * (len(fields) > 1)} {', '.join(sorted(map(str, fields)))}")
    return {field: tuple(value) if isinstance(value, list) else value for field, value in values.items()}


def _short_repr(value: object) -> str:
    """Return a repr of one line, truncated if long."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return "a number of thousands of digits"
