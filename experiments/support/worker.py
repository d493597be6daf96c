"""Train a run in its own process, which reports to its parent and ends with it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

from cnn3 import ConfigError, DataError, Dataset, OutputError, RunConfig, WeightsError, fit, load
from cnn3.runs.compilation import cache_compilations
from cnn3.runs.locks import BusyError
from cnn3.runs.progress import ProgressCallbacks
from cnn3.runs.reuse import Reuse


class Job(NamedTuple):
    """A run to train.

    Args:
        config: its configuration.
        folder: its folder.
        label: its name in the progress display.
        dataset, data_dir, limit: arguments of `cnn3.load`.
        prepare: makes the run's data set from the loaded one; must be picklable, so a function of a module.
        reuse: as for `cnn3.fit`.
        wait: whether to wait while another process trains the run.
        steps: whether to report the steps of an epoch.
        attempt: 1, and one more each time its process is killed.
    """

    config: RunConfig
    folder: Path
    label: str
    dataset: str
    data_dir: Path | None
    limit: int | None
    prepare: Callable[[Dataset], Dataset]
    reuse: Reuse
    wait: bool = False
    steps: bool = False
    attempt: int = 1


class RunStarted(NamedTuple):
    """Training starts, with `done` of the run's `epochs` already done."""

    done: int
    epochs: int


class StepDone(NamedTuple):
    """`done` of an epoch's `steps` are done."""

    done: int
    steps: int


class EpochDone(NamedTuple):
    """An epoch has ended with this record."""

    record: dict[str, Any]


class LogMessage(NamedTuple):
    """A message of the log."""

    level: int
    text: str


class RunEnded(NamedTuple):
    """The run has ended, or failed with an error."""

    error: Exception | None


Message = RunStarted | StepDone | EpochDone | LogMessage | RunEnded
Send = Callable[[Message], None]


def work(job: Job, connection: Connection) -> None:
    """Train a run and send a `Message` for each event.

    Errors of the configuration, the data and the folder are sent; others are raised.
    """
    lock = Lock()

    def send(message: Message) -> None:
        with lock:
            connection.send(message)

    Thread(target=_exit_with_parent, args=(connection,), daemon=True).start()
    logging.basicConfig(handlers=[_SendingHandler(send)])
    cache_compilations()
    error = None
    try:
        dataset = job.prepare(load(job.dataset, job.data_dir, seed=job.config.seed, limit=job.limit))
        reporter = partial(_reporter, send, job.steps)
        fit(job.config, dataset, job.folder, label=job.label, wait=job.wait, reuse=job.reuse, reporter=reporter)
    except (BusyError, ConfigError, DataError, OutputError, WeightsError) as caught:
        error = caught
    send(RunEnded(error))


class _SendingHandler(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(LogMessage(record.levelno, record.getMessage()))


@contextmanager
def _reporter(send: Send, with_steps: bool, _: str, done: int, epochs: int) -> Iterator[ProgressCallbacks]:
    """Send messages in place of the progress display, `cnn3.runs.progress.reporter`."""
    send(RunStarted(done, epochs))
    steps = (lambda done, steps: send(StepDone(done, steps))) if with_steps else None
    yield ProgressCallbacks(lambda record: send(EpochDone(record)), steps)


def _exit_with_parent(connection: Connection) -> None:
    """Exit as soon as the parent process is gone, however it ended. The parent never sends anything."""
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)
