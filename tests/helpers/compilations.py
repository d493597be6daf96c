"""What XLA compiles while something is done."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def count_compilations() -> Iterator[list[str]]:
    """Collect the names of the functions that are compiled meanwhile, one taken from the cache on disk included."""
    seen: list[str] = []
    counting = True

    def listen(event: str, duration_secs: float, **about: str | int) -> None:
        if counting and event == "/jax/core/compile/backend_compile_duration":
            seen.append(str(about["fun_name"]))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    counting = False
