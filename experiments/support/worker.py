"""A run in a process of its own, which tells the one that started it how it gets on, and ends when that one does."""

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
    """A run that is to be done.

    Args:
        config: of the run.
        folder: the run's.
        label: what the progress display calls it.
        dataset, data_dir, limit: what `cnn3.load` takes.
        prepare: makes the run's data set of the loaded one; a function of a module.
        reuse: as for `cnn3.fit`.
        wait: whether to wait while another process trains the run.
        steps: whether to tell of the steps of an epoch.
        attempt: 1, and more once a process has been killed.
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


class Begun(NamedTuple):
    """The run is shown from now on: so many of its epochs are done already."""

    done: int
    epochs: int


class Stepped(NamedTuple):
    """So many steps of an epoch are done."""

    done: int
    steps: int


class Trained(NamedTuple):
    """An epoch has ended, of which this is the record."""

    record: dict[str, Any]


class Said(NamedTuple):
    """A message of the log."""

    level: int
    text: str


class Ended(NamedTuple):
    """Nothing more is to be done: the run has ended, or has not for this reason."""

    error: Exception | None


Message = Begun | Stepped | Trained | Said | Ended
Tell = Callable[[Message], None]


def work(job: Job, connection: Connection) -> None:
    """Do a run, and send a `Message` of all that happens.

    What is no fault of the run's, its data or its folder is raised.
    """
    lock = Lock()

    def tell(message: Message) -> None:
        with lock:
            connection.send(message)

    Thread(target=_end_with, args=(connection,), daemon=True).start()
    logging.basicConfig(handlers=[_Teller(tell)])
    cache_compilations()
    error = None
    try:
        dataset = job.prepare(load(job.dataset, job.data_dir, seed=job.config.seed, limit=job.limit))
        show = partial(_show, tell, job.steps)
        fit(job.config, dataset, job.folder, label=job.label, wait=job.wait, reuse=job.reuse, reporter=show)
    except (BusyError, ConfigError, DataError, OutputError, WeightsError) as caught:
        error = caught
    tell(Ended(error))


class _Teller(logging.Handler):
    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(Said(record.levelno, record.getMessage()))


@contextmanager
def _show(tell: Tell, watched: bool, _: str, done: int, epochs: int) -> Iterator[ProgressCallbacks]:
    """Stand in for `cnn3.runs.progress.progress_reporter`."""
    tell(Begun(done, epochs))
    steps = (lambda done, steps: tell(Stepped(done, steps))) if watched else None
    yield ProgressCallbacks(lambda record: tell(Trained(record)), steps)


def _end_with(connection: Connection) -> None:
    """End this process once the other one is gone, however it ended; it never sends anything."""
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)
