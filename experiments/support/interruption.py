"""How SIGINT and SIGTERM end an experiment."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process at once, though a compiled epoch keeps the main thread busy for minutes.

    Nothing is lost: files are written whole or not at all, and a run goes on after its last epoch. In a thread nothing
    is done: signals are the main thread's, whose program decides about them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda *_: None) for number in heeded}
    before = signal.set_wakeup_fd(write)
    threading.Thread(target=_end_on_signal, args=(read,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(write)


def _end_on_signal(read: int) -> None:
    with open(read, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if number[0] in SIGNALS:
                shown = b"\x1b[?25h" if sys.stdout.isatty() else b""  # the cursor, which a progress bar hides
                os.write(2, shown + b"\ninterrupted; the same command goes on where it stopped\n")
                os._exit(128 + number[0])
