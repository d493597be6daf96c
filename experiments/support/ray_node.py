"""What a node is checked for before it takes a run, and the cores that the run has there. None of it needs JAX."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout

from cnn3.runs.fingerprint import code_fingerprint
from cnn3.runs.machine import cores

PACKAGES = ("cnn3", "jax", "jaxlib", "flax", "optax")
CODE = "code"


def node_versions() -> dict[str, str]:
    """Return the versions of a machine that change a run's numbers: those of packages, and the code's fingerprint."""
    versions = {CODE: code_fingerprint()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def describe_mismatch(required: Mapping[str, str]) -> str | None:
    """Say which versions of this machine are not those required, as "jax 0.10, not 0.11", or return None."""
    versions = node_versions()
    differing = [name for name in required if versions.get(name) != required[name]]
    return ", ".join(f"{name} {versions.get(name, 'missing')}, not {required[name]}" for name in differing) or None


def take_cores(count: int) -> list[FileLock]:
    """Keep this thread, and those that it starts, to cores that no other run on this machine has, as long as there are.

    Args:
        count: the number of cores; a run's last bits depend on it.

    Returns:
        the locks of the cores, which are free again once these are released or the process ends.
    """
    if not hasattr(os, "sched_setaffinity"):  # on Linux only
        return []
    folder = Path(tempfile.gettempdir()) / f"cnn3-cores-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    taken, others, locks = [], [], []
    for core in sorted(cores()):
        lock = FileLock(folder / str(core))
        if len(taken) == count or not _try(lock):
            others.append(core)
        else:
            taken.append(core)
            locks.append(lock)
    first = os.getpid() % max(1, len(others))  # so that runs which must share cores share different ones
    os.sched_setaffinity(0, (taken + others[first:] + others[:first])[:count])
    return locks


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
