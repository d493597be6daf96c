"""Calls a function periodically in a thread while something else runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def call_periodically(function: Callable[[], float], delay: float) -> Iterator[None]:
    """Call a function periodically in a thread until the block ends.

    Args:
        function: returns the seconds to wait before its next call.
        delay: seconds to wait before its first call.
    """
    stop = Event()

    def loop() -> None:
        seconds = delay
        while not stop.wait(seconds):
            seconds = function()

    thread = Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
