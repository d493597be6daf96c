"""Several runs at a time, each in a process of its own, since one small run does not fill a machine.

A pool of the standard library or of joblib gives up all its work when one of its processes is killed; here only what
that one did is begun again.
"""

import logging
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from cnn3.cli import UsageError
from cnn3.runs.locks import BusyError
from cnn3.runs.progress import ProgressCallbacks, ProgressDisplay, progress_display
from experiments.support.places import Place, inherited
from experiments.support.worker import Begun, Ended, Job, Said, Stepped, Trained, work

ATTEMPTS = 2  # at a run whose process is killed
SPAWN = get_context("spawn")  # a fork would lack JAX's threads

log = logging.getLogger(__name__)


class KilledError(UsageError):
    """Runs that have not ended, since their processes were killed."""


@dataclass
class Worker:
    """A process at work on a job, and what is shown of it."""

    job: Job
    place: Place
    process: BaseProcess
    connection: Connection
    display: ExitStack = field(default_factory=ExitStack)
    report: ProgressCallbacks | None = None
    ended: Ended | None = None


def train(jobs: Sequence[Job], places: Sequence[Place]) -> Iterator[Job]:
    """Do runs, as many at a time as there are places; yields each job once its run has ended.

    What another process trains is left for the end, and then waited for.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: of the first run that cannot be done; it ends the others.
        KilledError: the processes of a run were killed twice; raised once the other runs have ended.
        RuntimeError: a process failed by a defect, which it has printed.
    """
    waiting, free, killed = deque(jobs), list(places), list[str]()
    workers: dict[Any, Worker] = {}  # by what connects to them
    with progress_display(total=len(jobs)) as display, ExitStack() as stack:
        stack.callback(_end, workers)
        while waiting or workers:
            while waiting and free:
                worker = _start(waiting.popleft()._replace(steps=display.shows_steps), free.pop(0))
                workers[worker.connection] = worker
            for connection in wait(list(workers)):
                worker = workers[connection]
                if _listen(worker, display):
                    continue
                del workers[connection]
                free.append(worker.place)
                match _outcome(worker):
                    case Job() as again if again.attempt > ATTEMPTS:
                        killed.append(again.label)
                    case Job(wait=True) as again:
                        waiting.append(again)
                    case Job() as again:
                        waiting.appendleft(again)
                    case None:
                        display.end_run()
                        yield worker.job
    if killed:
        raise KilledError(
            f"the processes of {'; '.join(killed)} were killed twice: if memory ran out, take fewer --jobs; "
            "the same command goes on"
        )


def _start(job: Job, place: Place) -> Worker:
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=work, args=(job, theirs), daemon=True)
    with inherited(place):
        process.start()
    theirs.close()  # so that ours tells when the process has ended
    return Worker(job, place, process, ours)


def _listen(worker: Worker, display: ProgressDisplay) -> bool:
    """Heed what a process sends; return whether it may send more."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        worker.connection.close()
        worker.process.join()
        worker.display.close()
        return False
    match message:
        case Begun(done, epochs):
            worker.report = worker.display.enter_context(display.show_run(worker.job.label, done, epochs))
        case Stepped(done, steps) if worker.report and worker.report.on_step:
            worker.report.on_step(done, steps)
        case Trained(record) if worker.report:
            worker.report.on_epoch(record)
        case Said(level, text):
            log.log(level, "%s", text)
        case Ended():
            worker.ended = message
    return True


def _outcome(worker: Worker) -> Job | None:
    """Return what is to be done again of a process that has ended, or None if its run has ended.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: the run cannot be done.
        RuntimeError: the process failed by a defect.
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


def _end(workers: dict[Any, Worker]) -> None:
    """End the processes that are still at work."""
    for worker in workers.values():
        worker.process.kill()
    for worker in workers.values():
        worker.process.join()
        worker.display.close()
