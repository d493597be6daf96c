"""Where processes that work at the same time compute: each has cores of its own, and a GPU or a share of one."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import jax

from cnn3.runs.machine import cores

VISIBLE, PREALLOCATE = "CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_PREALLOCATE"


class Place(NamedTuple):
    """The cores of a process, and the variables of its environment that say which GPU it has."""

    cores: frozenset[int]
    env: Mapping[str, str]


def share_gpus() -> None:
    """Let other processes have memory of the GPU; before this one uses it."""
    os.environ.setdefault(PREALLOCATE, "false")  # else it takes three quarters at once


def places(jobs: int | str) -> list[Place]:
    """Return so many places, each as large as the others: a run's last bits depend on its number of cores.

    Args:
        jobs: how many, or "auto": one a GPU, or one a core where JAX uses none.
    """
    gpus = _gpus() if jax.default_backend() == "gpu" else []
    own = sorted(cores())
    count = (len(gpus) or len(own)) if isinstance(jobs, str) else jobs
    size = max(1, len(own) // count)
    found = []
    for index in range(count):
        mine = frozenset(own[(index * size + of) % len(own)] for of in range(size))
        found.append(Place(mine, {VISIBLE: gpus[index % len(gpus)]} if gpus else {}))
    return found


def _gpus() -> list[str]:
    """Return the names, in the environment, of the GPUs that this process may use."""
    visible = os.environ.get(VISIBLE)
    return visible.split(",") if visible else [str(index) for index in range(jax.local_device_count())]


@contextmanager
def inherited(place: Place) -> Iterator[None]:
    """Give this place to processes that are started within; SIGINT, which a terminal sends to all, is not for them."""
    before = {name: os.environ.get(name) for name in place.env}
    whole, mask = cores(), signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(place.env)
    _use(place.cores)
    try:
        yield
    finally:
        _use(whole)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _use(some: frozenset[int] | set[int]) -> None:
    if hasattr(os, "sched_setaffinity"):  # on Linux alone
        os.sched_setaffinity(0, some)
