"""Train several runs at a time, each in its own process, since one small run does not use a whole machine.

A pool of the standard library or of joblib abandons all its work when one of its processes is killed. Here only the
run of that process is restarted.
"""

import logging
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from cnn3.runs.locks import BusyError
from cnn3.runs.progress import ProgressDisplay, progress_display
from experiments.support.placement import Placement, inherit_placement
from experiments.support.run_display import RunDisplay
from experiments.support.worker import Job, KilledError, RunEnded, work

MAX_ATTEMPTS = 2  # of a run whose process is killed
SPAWN = get_context("spawn")  # a fork would lack JAX's threads

log = logging.getLogger(__name__)


@dataclass
class Worker:
    """A process that trains a run, and its part of the progress display."""

    job: Job
    placement: Placement
    process: BaseProcess
    connection: Connection
    display: RunDisplay
    ended: RunEnded | None = None


def train(jobs: Sequence[Job], placements: Sequence[Placement]) -> Iterator[Job]:
    """Train runs, as many at a time as there are placements, and yield each job when its run has ended.

    Runs that another process is training come last and are waited for.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: a run is impossible; the other processes are ended.
        KilledError: the processes of a run were killed twice; raised when the other runs have ended.
        RuntimeError: a process failed with an unexpected error, which it has printed.
    """
    waiting, free, killed = deque(jobs), list(placements), list[str]()
    workers: dict[Any, Worker] = {}  # by connection
    with progress_display(total=len(jobs)) as display, ExitStack() as stack:
        stack.callback(_kill, workers)
        while waiting or workers:
            while waiting and free:
                worker = _start(waiting.popleft()._replace(steps=display.shows_steps), free.pop(0), display)
                workers[worker.connection] = worker
            for connection in wait(list(workers)):
                worker = workers[connection]
                if _receive(worker):
                    continue
                del workers[connection]
                free.append(worker.placement)
                match _job_to_repeat(worker):
                    case Job() as job if job.attempt > MAX_ATTEMPTS:
                        killed.append(job.label)
                    case Job(wait=True) as job:
                        waiting.append(job)
                    case Job() as job:
                        waiting.appendleft(job)
                    case None:
                        display.end_run()
                        yield worker.job
    if killed:
        raise KilledError(
            f"the processes of {'; '.join(killed)} were killed twice: if memory ran out, take fewer --jobs; "
            "run the same command to resume"
        )


def _start(job: Job, placement: Placement, display: ProgressDisplay) -> Worker:
    parent_end, worker_end = SPAWN.Pipe()
    process = SPAWN.Process(target=work, args=(job, worker_end), daemon=True)
    with inherit_placement(placement):
        process.start()
    worker_end.close()  # so that reading the parent's end fails once the process has ended
    return Worker(job, placement, process, parent_end, RunDisplay(display, job.label))


def _receive(worker: Worker) -> bool:
    """Handle a message of a process, and return whether it may send more."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        worker.connection.close()
        worker.process.join()
        worker.display.close()
        return False
    worker.display.show(message)
    if isinstance(message, RunEnded):
        worker.ended = message
    return True


def _job_to_repeat(worker: Worker) -> Job | None:
    """Return the job of an ended process if it must be repeated, None if its run has ended.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: the run is impossible.
        RuntimeError: the process failed with an unexpected error.
    """
    job, status = worker.job, worker.process.exitcode or 0
    if worker.ended is not None:
        if isinstance(worker.ended.error, BusyError):
            return job._replace(wait=True)
        if worker.ended.error is not None:
            raise worker.ended.error
        return None
    if status >= 0:
        raise RuntimeError(f"the process of {job.label} ended with status {status}")
    name = signal.Signals(-status).name
    log.warning("%s: its process was killed (%s)%s", job.label, name, "" if job.attempt > 1 else "; it is tried again")
    return job._replace(attempt=job.attempt + 1)


def _kill(workers: dict[Any, Worker]) -> None:
    """Kill the processes that are still running."""
    for worker in workers.values():
        worker.process.kill()
    for worker in workers.values():
        worker.process.join()
        worker.display.close()
