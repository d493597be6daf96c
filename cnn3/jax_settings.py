"""JAX's settings in the user's environment: those that cnn3 cannot run with, and a GPU that JAX does not see."""

import logging
import os
from functools import cache
from pathlib import Path

import jax

from cnn3.config import ConfigError

# What must be so, for arrays of 32 bits and for the same random numbers everywhere.
REQUIRED = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_threefry_partitionable": True,
    "jax_disable_jit": False,
}
NVIDIA = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/nvidiactl"))  # where there is a GPU

log = logging.getLogger(__name__)


def check_jax() -> None:
    """Make sure that JAX is set as cnn3 needs it and has a device; tell once if it does not see the machine's GPU.

    Raises:
        ConfigError: it is not, or has none.
    """
    for name, value in REQUIRED.items():
        found = jax.config.values[name]
        if found != value:
            raise ConfigError(f"cnn3 needs {name.upper()}={_shown(value)}, but it is {_shown(found)}; unset it")
    try:
        platform = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # of a platform that was asked for and is not there
        asked = os.environ.get("JAX_PLATFORMS") or jax.config.values["jax_platforms"]
        reason = str(error).split("\n", 1)[0] or "it has none"
        raise ConfigError(
            f"JAX finds no device for JAX_PLATFORMS={asked} ({reason}); unset it to use the CPU"
        ) from None
    if platform == "cpu":
        _tell_of_unseen_gpu()


@cache  # once a process
def _tell_of_unseen_gpu() -> None:
    chosen = os.environ.get("JAX_PLATFORMS", "")
    if "cpu" not in chosen and any(path.exists() for path in NVIDIA):
        log.warning(
            "this machine has an NVIDIA GPU, but JAX does not see it and runs on the CPU: install cnn3[cuda13] "
            "(driver 580 or later) or cnn3[cuda12], or set JAX_PLATFORMS=cpu if that is meant"
        )


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
