"""What a thread does again and again while something else goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def repeating(action: Callable[[], float], pause: float) -> Iterator[None]:
    """Call `action` in a thread until the end of the block.

    Args:
        action: what to do; it returns the seconds until it is done again.
        pause: seconds before it is done first.
    """
    ended = Event()

    def repeat() -> None:
        seconds = pause
        while not ended.wait(seconds):
            seconds = action()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
