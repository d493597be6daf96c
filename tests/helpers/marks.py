"""Which cases of a test run by default, and which only with `pytest -m whole`."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def whole_except(kept: Collection[str], cases: Iterable[Any]) -> list[Any]:
    """Return the cases of a parametrized test, those that are not kept as long tests.

    Args:
        kept: the names of the cases that run by default.
        cases: names, or tuples that begin with one.
    """
    tuples = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=() if case[0] in kept else pytest.mark.whole) for case in tuples]
