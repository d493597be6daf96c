"""Train several runs at a time on the nodes of a Ray cluster.

A run is a task of Ray core. Its node needs no folder of this machine: images and checkpoints go to the node, and the
run's files come back. If its node dies, the run continues on another one from the newest checkpoint that has come back.
"""

import logging
import pickle
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError, RayTaskError

from cnn3.cli import UsageError
from cnn3.data.loading import read_source
from cnn3.runs.archive import unpack
from cnn3.runs.locks import BusyError
from cnn3.runs.progress import ProgressDisplay, progress_display
from experiments.support.driver_folder import check_out
from experiments.support.ray_cluster import (
    RayMessages,
    Resources,
    Settings,
    connect,
    fitting_nodes,
    forwarded_environment,
    slots,
)
from experiments.support.ray_node import node_versions
from experiments.support.ray_task import NodeAnswer, train_remotely
from experiments.support.ray_worker import RunFiles
from experiments.support.run_display import RunDisplay
from experiments.support.worker import EpochDone, Job, KilledError, RunEnded

MAX_ATTEMPTS = 3  # of a run that is killed before it has trained an epoch

log = logging.getLogger(__name__)


class Lent(NamedTuple):
    """What every task gets."""

    source: Any  # an ObjectRef of the images, None if nodes read their own
    digest: str
    versions: Mapping[str, str]
    env: Mapping[str, str]


@dataclass
class RunningTask:
    """A run that has been given to Ray, and its part of the progress display."""

    job: Job
    display: RunDisplay
    checked_out: ExitStack
    node: NodeAnswer | None = None
    ended: RunEnded | None = None
    lost: str | None = None  # why there are no more messages
    has_progressed: bool = False


@dataclass
class Sweep:
    """The state of a sweep over runs."""

    settings: Settings
    resources: Resources
    lent: Lent
    display: ProgressDisplay
    waiting: deque[Job]
    running: dict[Any, RunningTask] = field(default_factory=dict)  # by the generator of the task's messages
    refused: dict[str, str] = field(default_factory=dict)  # why, by the id of the node
    killed: list[str] = field(default_factory=list)


def train(jobs: Sequence[Job], settings: Settings) -> Iterator[Job]:
    """Train runs on a Ray cluster, and yield each job when its run has ended and its files are in its folder.

    Runs that another process is training come last and are waited for.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: a run is impossible; the other runs are ended.
        KilledError: a run was killed repeatedly; raised when the other runs have ended.
        RuntimeError: a run failed with an unexpected error, which this error shows.
        UsageError: there is no such cluster, or every node of it has other versions.
    """
    jobs = [_with_absolute_paths(job) for job in jobs]
    with ExitStack() as stack:
        connect(settings.address)
        stack.enter_context(redirect_stdout(RayMessages()))
        resources = settings.resources()
        source = read_source(jobs[0].dataset, jobs[0].data_dir)
        reads_own = jobs[0].data_dir is not None  # in a folder of this name
        images = None if reads_own else ray.put(source)
        lent = Lent(images, source.digest, node_versions(), forwarded_environment(resources))
        display = stack.enter_context(progress_display(total=len(jobs)))
        sweep = Sweep(settings, resources, lent, display, deque(jobs))
        stack.callback(_cancel, sweep)
        while sweep.waiting or sweep.running:
            for job in _submit(sweep):
                display.end_run()
                yield job
            if not sweep.running:
                continue
            (generator, *_), _ = ray.wait(list(sweep.running), num_returns=1)
            task = sweep.running[generator]
            if _receive(task, generator):
                continue
            del sweep.running[generator]
            task.display.close()
            task.checked_out.close()
            if _has_ended(sweep, task):
                display.end_run()
                yield task.job
    if sweep.killed:
        raise KilledError(
            f"the processes of {'; '.join(sweep.killed)} were killed {MAX_ATTEMPTS} times: if memory ran out, take "
            "more --cpus-per-run, so that fewer share a node; run the same command to resume"
        )


def _with_absolute_paths(job: Job) -> Job:
    """Return a job whose paths mean the same in every working directory."""
    return job._replace(folder=job.folder.absolute(), data_dir=job.data_dir and job.data_dir.absolute())


def _submit(sweep: Sweep) -> Iterator[Job]:
    """Give as many runs to Ray as it can start soon, and yield the jobs of those that need no training any more."""
    limit = 2 * max(1, slots(sweep.resources, sweep.refused))  # some wait there, so that no node does
    while sweep.waiting and len(sweep.running) < limit:
        if sweep.waiting[0].wait and sweep.running and not sweep.settings.shared:
            return  # waiting would hold up the messages of the others
        job = sweep.waiting.popleft()._replace(steps=sweep.display.shows_steps)
        with ExitStack() as stack:
            archive = None
            if not sweep.settings.shared:
                try:
                    archive = stack.enter_context(check_out(job))
                except BusyError:
                    sweep.waiting.append(job._replace(wait=True))
                    continue
                if archive is None:
                    yield job
                    continue
            task = RunningTask(job, RunDisplay(sweep.display, job.label), stack.pop_all())
        sweep.running[_start(sweep, job, archive)] = task


def _start(sweep: Sweep, job: Job, archive: Mapping[str, bytes] | None) -> Any:
    """Return the generator of the messages of a new task."""
    cpus, gpus = sweep.resources
    others = {"ray.io/node-id": f"!in({','.join(sweep.refused)})"} if sweep.refused else {}
    task = train_remotely.options(num_cpus=cpus, num_gpus=gpus, label_selector=others, name=job.label)
    lent = sweep.lent
    # Pickled, and the images in a list, so that nothing of cnn3 is unpickled before its version is checked.
    return task.remote(pickle.dumps(job), archive, [lent.source], lent.digest, lent.versions, lent.env, cpus, gpus)


def _receive(task: RunningTask, generator: Any) -> bool:
    """Handle the next messages of a task, and return whether there may be more.

    Raises:
        RuntimeError: the task failed with an unexpected error.
    """
    try:
        messages = ray.get(next(generator))
    except StopIteration:
        return False
    except RayTaskError as error:
        raise RuntimeError(f"{task.job.label} failed on {_node(task)}") from error
    except RayError as error:
        task.lost = str(error).split("\n", 1)[0]
        return False
    if isinstance(messages, dict):
        task.node = NodeAnswer(**messages)
        return True
    for message in messages:
        match message:
            case RunFiles(archive):
                unpack(archive, task.job.folder)
            case RunEnded():
                task.ended = message
            case _:
                task.has_progressed |= isinstance(message, EpochDone)
                task.display.show(message)
    return True


def _has_ended(sweep: Sweep, task: RunningTask) -> bool:
    """Whether the run of an ended task has ended; if not, the job waits again.

    Raises:
        ConfigError, DataError, OutputError, WeightsError: the run is impossible.
        UsageError: no node has the right versions.
    """
    job = task.job
    if task.node is not None and task.node.mismatch is not None:
        _refuse(sweep, task.node)
        sweep.waiting.appendleft(job)
    elif task.ended is None:
        _repeat(sweep, task)
    elif isinstance(task.ended.error, BusyError):
        sweep.waiting.append(job._replace(wait=True))
    elif task.ended.error is not None:
        raise task.ended.error
    else:
        return True
    return False


def _refuse(sweep: Sweep, node: NodeAnswer) -> None:
    """Give no more runs to a node.

    Raises:
        UsageError: no other node is left.
    """
    if node.id in sweep.refused:
        return
    sweep.refused[node.id] = f"{node.address} has {node.mismatch}"
    if all(id_ in sweep.refused for id_ in fitting_nodes(sweep.resources)):
        raise UsageError(f"{'; '.join(sweep.refused.values())}: install the same versions on the nodes as here")
    log.warning("%s: it gets no runs; install the same versions there", sweep.refused[node.id])


def _repeat(sweep: Sweep, task: RunningTask) -> None:
    """Let the run of a task that was killed, alone or with its node, wait again."""
    job = task.job._replace(attempt=1 if task.has_progressed else task.job.attempt)
    if job.attempt == MAX_ATTEMPTS:
        log.warning("%s: its process on %s was killed (%s)", job.label, _node(task), task.lost)
        sweep.killed.append(job.label)
        return
    log.warning("%s: its process on %s was killed (%s); it is tried again", job.label, _node(task), task.lost)
    sweep.waiting.appendleft(job._replace(attempt=job.attempt + 1))


def _node(task: RunningTask) -> str:
    return task.node.address if task.node else "a node"


def _cancel(sweep: Sweep) -> None:
    """End the tasks that are still running."""
    for generator, task in sweep.running.items():
        ray.cancel(generator, force=True)
        task.display.close()
        task.checked_out.close()
