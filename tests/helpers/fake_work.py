"""A fake of `experiments.support.worker.work` that trains nothing: the job's label says what happens."""

import os
import signal
import time
from multiprocessing.connection import Connection

from cnn3 import OutputError
from cnn3.runs.locks import BusyError
from cnn3.runs.machine import cores
from experiments.support.worker import EpochDone, Job, LogMessage, RunEnded, RunStarted
from tests.helpers.fabricated import history


def work(job: Job, connection: Connection) -> None:
    """Report a run of one epoch, or fail as the label says."""
    connection.send(RunStarted(0, 1))
    if job.label == "killed twice" or (job.label == "killed once" and job.attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.label == "endless":
        time.sleep(600)
    if job.label == "defect":
        raise SystemExit(3)
    if job.label == "impossible":
        connection.send(RunEnded(OutputError("the disk is full")))
        return
    if job.label == "busy" and not job.wait:
        connection.send(RunEnded(BusyError("another process trains it")))
        return
    connection.send(LogMessage(30, f"{job.label}: {len(cores())} cores, {os.environ.get('WHERE')}"))
    connection.send(EpochDone(history([0.5])[0]))
    connection.send(RunEnded(None))
