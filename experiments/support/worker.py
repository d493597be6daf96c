"""Train a run in a process of its own, which reports what happens; it ends with the process that started it."""

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
from cnn3.cli import UsageError
from cnn3.runs.compilation import cache_compilations
from cnn3.runs.locks import BusyError
from cnn3.runs.progress import ProgressCallbacks
from cnn3.runs.result import EpochHook
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


RunError = BusyError | ConfigError | DataError | OutputError | WeightsError


class RunEnded(NamedTuple):
    """The run has ended, or failed with an error."""

    error: RunError | None


Message = RunStarted | StepDone | EpochDone | LogMessage | RunEnded
Send = Callable[[Message], None]


class KilledError(UsageError):
    """Runs have not ended because their processes were killed."""


def work(job: Job, connection: Connection) -> None:
    """Train a run, and send a `Message` for each event to the process that started this one."""
    lock = Lock()

    def send(message: Message) -> None:
        with lock:
            connection.send(message)

    Thread(target=_exit_with_parent, args=(connection,), daemon=True).start()
    read = partial(load, job.dataset, job.data_dir, seed=job.config.seed, limit=job.limit)
    send(RunEnded(train_run(job, read, send)))


def train_run(job: Job, read: Callable[[], Dataset], send: Send, on_epoch: EpochHook | None = None) -> RunError | None:
    """Train a run, and send messages until it ends. Only the first call in a process sends what is logged.

    Args:
        job: the run.
        read: returns the data set before `job.prepare`.
        send: takes the messages, in any thread.
        on_epoch: as for `cnn3.fit`.

    Returns:
        the error of the configuration, the data or the folder that made the run impossible; others are raised.
    """
    logging.basicConfig(handlers=[_SendingHandler(send)])
    cache_compilations()
    reporter = partial(_reporter, send, job.steps)
    try:
        fit(
            job.config,
            job.prepare(read()),
            job.folder,
            label=job.label,
            wait=job.wait,
            reuse=job.reuse,
            reporter=reporter,
            on_epoch=on_epoch,
        )
    except (BusyError, ConfigError, DataError, OutputError, WeightsError) as error:
        return error
    return None


class _SendingHandler(logging.Handler):
    def __init__(self, send: Send) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(LogMessage(record.levelno, record.getMessage()))


@contextmanager
def _reporter(send: Send, with_steps: bool, _: str, done: int, epochs: int) -> Iterator[ProgressCallbacks]:
    """Send messages in place of the progress display, `cnn3.runs.progress.progress_reporter`."""
    send(RunStarted(done, epochs))
    steps = (lambda done, steps: send(StepDone(done, steps))) if with_steps else None
    yield ProgressCallbacks(lambda record: send(EpochDone(record)), steps)


def _exit_with_parent(connection: Connection) -> None:
    """Exit as soon as the parent process is gone, however it ended. The parent never sends anything."""
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)
