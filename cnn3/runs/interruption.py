"""Let SIGINT and SIGTERM end training at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(message: str = "interrupted; run the same command to resume") -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process at once, though a compiled epoch keeps the main thread busy for minutes.

    Files are written whole or not at all, and a run resumes after its last checkpoint. Outside the main
    thread this does nothing, since only the main thread may handle signals; nor on Windows, whose pipes may block.

    Args:
        message: what to tell the user then.
    """
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    signals = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    handlers = {number: signal.signal(number, lambda *_: None) for number in signals}
    wakeup_fd = signal.set_wakeup_fd(write)
    threading.Thread(target=_end_on_signal, args=(read, message), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup_fd)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(write)


def _end_on_signal(read: int, message: str) -> None:
    with open(read, "rb", buffering=0) as numbers:
        while number := numbers.read(1):
            if number[0] in SIGNALS:
                show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # a progress bar hides it
                with suppress(OSError):  # nobody reads it
                    os.write(2, show_cursor + f"\n{message}\n".encode())
                os._exit(128 + number[0])
