"""The warnings of a run while it recovers."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def logged(do: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """Yield the lines that are logged, and call `do` after each."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: (lines.append(record.getMessage()), do())[1]
    logging.getLogger("cnn3").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("cnn3").removeHandler(handler)
