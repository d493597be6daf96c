"""A function that a thread calls periodically while something else runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def call_periodically(function: Callable[[], float], delay: float) -> Iterator[None]:
    """Call a function in a thread until the end of the block.

    Args:
        function: returns the seconds to wait before its next call.
        delay: seconds to wait before its first call.
    """
    ended = Event()

    def loop() -> None:
        seconds = delay
        while not ended.wait(seconds):
            seconds = function()

    thread = Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
