"""Whether a compiled program fits into memory, checked before it runs."""

import jax
import psutil

from cnn3.config import ConfigError
from cnn3.runs.cgroup import cgroup_bytes_left

GIB = 2**30


def check_memory(needed: int, batch_size: int) -> None:
    """Make sure that an epoch fits into memory: a system that runs out kills the process without an error message.

    Args:
        needed: bytes of the epoch's temporaries, from `temp_bytes`.
        batch_size: with which they grow.

    Raises:
        ConfigError: less memory is free.
    """
    free = _free_bytes()
    if needed > free:
        raise ConfigError(
            f"batch_size {batch_size} needs {needed / GIB:.1f} GiB of memory for this network, and "
            f"{free / GIB:.1f} GiB are free; choose a smaller one"
        )


def temp_bytes(compiled: jax.stages.Compiled) -> int:
    """Return the bytes that a compiled program needs in addition to its arguments, 0 if XLA does not say."""
    analysis = compiled.memory_analysis()
    return 0 if analysis is None else int(analysis.temp_size_in_bytes)


def _free_bytes() -> int:
    """Return the free bytes of the device or, on a CPU, of the system within the limits of this process."""
    stats = jax.devices()[0].memory_stats()
    if stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    available, limit = psutil.virtual_memory().available, cgroup_bytes_left()
    return available if limit is None else min(available, limit)
