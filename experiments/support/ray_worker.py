"""Train a run in a task of Ray, and send its messages and files to the driver."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from tempfile import gettempdir, mkdtemp
from threading import Thread
from typing import Any, NamedTuple

import jax
from filelock import FileLock, Timeout

from cnn3 import ConfigError, DataError, Dataset
from cnn3.data.loading import dataset_name, read_source
from cnn3.data.splits import Source
from cnn3.runs.archive import Archive, pack_checkpoint, pack_finished, unpack
from cnn3.runs.layout import checkpoint_epochs
from experiments.support.worker import Job, LogMessage, Message, RunEnded, RunError, train_run

CHECKPOINT_SECONDS = 60.0  # the minimum time between two checkpoints that are sent
BATCH_SECONDS = 0.25  # messages that come within so long are sent together
LOCK = ".lock"  # in each temporary folder


class RunFiles(NamedTuple):
    """Files for the run's folder: those of a checkpoint, or of the finished run."""

    archive: Archive


class Task(NamedTuple):
    """A run to train in a task of Ray.

    Args:
        job: the run; its folder is that of the driver.
        archive: the files that are already in its folder; None if the folder is shared, and the run is trained there.
        node: the address of the node, for messages.
        gpus: the share of GPUs that the run has.
        digest: of the source that the driver has read.
        source: the images; None if the node reads its own.
    """

    job: Job
    archive: Archive | None
    node: str
    gpus: float
    digest: str
    source: Source | None


Put = Callable[[Message | RunFiles], None]


def train(task: Task) -> Iterator[list[Message | RunFiles]]:
    """Train a run in another thread, and yield its messages in small batches, `RunEnded` last."""
    queue: Queue[Message | RunFiles | BaseException] = Queue()
    Thread(target=_train, args=(task, queue), daemon=True).start()
    batch: list[Message | RunFiles] = []
    while not (batch and isinstance(batch[-1], RunEnded)):
        batch = list(_receive(queue))
        yield batch


def _receive(queue: Queue) -> Iterator[Any]:
    """Wait for a message, and yield it and those that come a moment later.

    Raises:
        BaseException: what the thread that trains has raised.
    """
    message = queue.get()
    deadline = time.monotonic() + BATCH_SECONDS
    while True:
        if isinstance(message, BaseException):
            raise message
        yield message
        if isinstance(message, RunEnded):
            return
        try:
            message = queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return


def _train(task: Task, queue: Queue) -> None:
    try:
        if (error := _missing_gpu(task)) is not None:
            queue.put(RunEnded(error))
        elif task.archive is None:
            queue.put(RunEnded(train_run(task.job, partial(_read, task), queue.put)))
        else:
            _train_away(task, task.archive, queue.put)
    except BaseException as error:  # raised again where Ray sees it
        queue.put(error)


def _train_away(task: Task, archive: Archive, put: Put) -> None:
    """Train a run in a temporary folder of this node, and send its files."""
    with scratch_folder() as scratch:
        folder = scratch / task.job.folder.name
        unpack(archive, folder)
        send = partial(_send, task.job.folder, folder, put)
        sender = CheckpointSender(folder, task.job.config.epochs, put)
        error = train_run(task.job._replace(folder=folder), partial(_read, task), send, sender)
        if error is None:
            put(RunFiles(pack_finished(folder)))
    send(RunEnded(error))  # after which Ray may end the process


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a temporary folder, and remove those of tasks that were killed: only living ones hold a folder's lock."""
    folders = Path(gettempdir(), f"cnn3-ray-{os.getuid()}")
    folders.mkdir(mode=0o700, exist_ok=True)
    guard = FileLock(f"{folders}.lock")  # a folder that is being made or removed is there, but not locked
    with guard:
        for folder in folders.iterdir():
            with suppress(Timeout), FileLock(folder / LOCK, timeout=0):
                shutil.rmtree(folder)
        scratch = Path(mkdtemp(dir=folders))
        lock = FileLock(scratch / LOCK)
        lock.acquire()
    try:
        yield scratch
    finally:
        with guard:
            shutil.rmtree(scratch)
            lock.release()


def _send(folder: Path, local: Path, put: Put, message: Message) -> None:
    """Send a message that names the driver's folder in place of the local one."""

    def translate(text: str) -> str:
        return text.replace(str(local), str(folder))

    match message:
        case LogMessage(level, text):
            put(LogMessage(level, translate(text)))
        case RunEnded(error) if error is not None:
            put(RunEnded(type(error)(translate(str(error)))))
        case _:
            put(message)


class CheckpointSender:
    """Sends a run's newest checkpoint after an epoch, but not too often; called by `fit` with each epoch's record."""

    def __init__(self, folder: Path, epochs: int, put: Put) -> None:
        """Take the run's folder, its number of epochs, and what sends the files."""
        self._folder, self._epochs, self._put = folder, epochs, put
        self._due, self._sent = time.monotonic(), -1

    def __call__(self, record: dict[str, Any]) -> None:
        """Send the newest checkpoint if it is time; after the last epoch, all files of the run follow anyway."""
        saved = checkpoint_epochs(self._folder)
        if time.monotonic() < self._due or not saved or saved[-1] == self._sent or record["epoch"] + 1 == self._epochs:
            return
        self._sent = saved[-1]
        self._put(RunFiles(pack_checkpoint(self._folder, self._sent)))
        self._due = time.monotonic() + CHECKPOINT_SECONDS


def _read(task: Task) -> Dataset:
    """Return the data set of a run, before it is prepared.

    Raises:
        DataError: the node's own data cannot be read, or are not those of the driver.
    """
    job = task.job
    source = task.source
    if source is None:
        with FileLock(Path(gettempdir()) / f"cnn3-data-{os.getuid()}.lock"):  # only one run prepares them
            source = read_source(job.dataset, job.data_dir)
    if source.digest != task.digest:
        raise DataError(
            f"{job.dataset} in {job.data_dir} on {task.node} has other images than on this machine; copy them there, "
            "or leave out --data-dir to send them"
        )
    return Dataset.from_source(dataset_name(job.dataset), source, seed=job.config.seed, limit=job.limit)


def _missing_gpu(task: Task) -> RunError | None:
    if task.gpus and jax.default_backend() == "cpu":
        return ConfigError(
            f"JAX on {task.node} does not see the GPU that Ray assigned to {task.job.label}: install cnn3[cuda13] or "
            "cnn3[cuda12] there, or train on CPUs with --gpus-per-run 0"
        )
    return None
