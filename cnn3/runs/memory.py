"""Whether a compiled program fits into memory, known before it is run."""

import jax
import psutil

from cnn3.config import ConfigError
from cnn3.runs.cgroup import memory_left

GIB = 2**30


def check_memory(needed: int, batch_size: int) -> None:
    """Make sure that an epoch fits, since a system that runs out of memory kills without a word.

    Args:
        needed: bytes that XLA has planned for the epoch's temporaries; see `temp_bytes`.
        batch_size: which they grow with.

    Raises:
        ConfigError: there is not so much memory free.
    """
    free = _free()
    if needed > free:
        raise ConfigError(
            f"batch_size {batch_size} needs {needed / GIB:.1f} GiB of memory for this network, and "
            f"{free / GIB:.1f} GiB are free; choose a smaller one"
        )


def temporaries(compiled: jax.stages.Compiled) -> int:
    """Return the bytes that a compiled program takes beside its arguments while it runs, 0 if XLA does not say."""
    analysis = compiled.memory_analysis()
    return 0 if analysis is None else int(analysis.temp_size_in_bytes)


def _free() -> int:
    """Return the bytes that the device has left or, on a CPU, the system and the limits of this process."""
    stats = jax.devices()[0].memory_stats()
    if stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    available, limited = psutil.virtual_memory().available, memory_left()
    return available if limited is None else min(available, limited)
