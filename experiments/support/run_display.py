"""What the messages of a run that is trained elsewhere change in the progress display and the log."""

import logging
from contextlib import ExitStack

from cnn3.runs.progress import ProgressCallbacks, ProgressDisplay
from experiments.support.worker import EpochDone, LogMessage, Message, RunStarted, StepDone

log = logging.getLogger(__name__)


class RunDisplay:
    """A run's part of the progress display."""

    def __init__(self, display: ProgressDisplay, label: str) -> None:
        """Take the display of all runs, and the name of this one in it."""
        self._display, self._label = display, label
        self._stack = ExitStack()
        self._callbacks: ProgressCallbacks | None = None

    def show(self, message: Message) -> None:
        """Show a message of the run."""
        match message:
            case RunStarted(done, epochs):
                self._callbacks = self._stack.enter_context(self._display.show_run(self._label, done, epochs))
            case StepDone(done, steps) if self._callbacks and self._callbacks.on_step:
                self._callbacks.on_step(done, steps)
            case EpochDone(record) if self._callbacks:
                self._callbacks.on_epoch(record)
            case LogMessage(level, text):
                log.log(level, "%s", text)

    def close(self) -> None:
        """End the run's part of the display."""
        self._stack.close()
