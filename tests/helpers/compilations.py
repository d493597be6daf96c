"""Counts what XLA compiles."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def count_compilations() -> Iterator[list[str]]:
    """Collect the names of the functions compiled within the block, including those read from the cache on disk."""
    names: list[str] = []
    counting = True

    def listen(event: str, duration_secs: float, **details: str | int) -> None:
        if counting and event == "/jax/core/compile/backend_compile_duration":
            names.append(str(details["fun_name"]))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    counting = False
