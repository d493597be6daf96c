"""The cores and GPUs of processes that work at the same time."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import jax

from cnn3.runs.machine import cores

VISIBLE, PREALLOCATE = "CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_PREALLOCATE"


class Placement(NamedTuple):
    """The cores of a process, and the environment variables that assign it a GPU."""

    cores: frozenset[int]
    env: Mapping[str, str]


def share_gpus() -> None:
    """Leave memory of the GPU to other processes; to be called before this one uses it."""
    os.environ.setdefault(PREALLOCATE, "false")  # by default JAX takes three quarters at once


def placements(jobs: int | str) -> list[Placement]:
    """Return a placement for each process, all of the same size: a run's last bits depend on its number of cores.

    Args:
        jobs: the number of processes, or "auto": one for each GPU, or for each core if JAX uses no GPU.
    """
    gpus = _gpus() if jax.default_backend() == "gpu" else []
    available = sorted(cores())
    count = (len(gpus) or len(available)) if isinstance(jobs, str) else jobs
    size = max(1, len(available) // count)
    return [
        Placement(
            frozenset(available[(index * size + offset) % len(available)] for offset in range(size)),
            {VISIBLE: gpus[index % len(gpus)]} if gpus else {},
        )
        for index in range(count)
    ]


def _gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` has them."""
    visible = os.environ.get(VISIBLE)
    return visible.split(",") if visible else [str(index) for index in range(jax.local_device_count())]


@contextmanager
def inherit_placement(placement: Placement) -> Iterator[None]:
    """Give a placement to processes started within, and block SIGINT there, which a terminal sends to all processes."""
    saved_env = {name: os.environ.get(name) for name in placement.env}
    saved_cores, saved_mask = cores(), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(placement.env)
    _set_cores(placement.cores)
    try:
        yield
    finally:
        _set_cores(saved_cores)
        for name, value in saved_env.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, saved_mask)


def _set_cores(numbers: frozenset[int] | set[int]) -> None:
    if hasattr(os, "sched_setaffinity"):  # on Linux only
        os.sched_setaffinity(0, numbers)
