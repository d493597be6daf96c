"""Checks of JAX's settings: refuse those that cnn3 cannot run with, and warn of a GPU that JAX does not see."""

import logging
import os
from functools import cache
from pathlib import Path

import jax

from cnn3.config import ConfigError

# Needed for arrays of 32 bits, and for the same random numbers everywhere.
REQUIRED = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_threefry_partitionable": True,
    "jax_disable_jit": False,
}
# Any of these exists if the machine has an NVIDIA GPU.
NVIDIA_PATHS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/nvidiactl"))

log = logging.getLogger(__name__)


def check_jax() -> None:
    """Make sure that JAX has the settings that cnn3 needs, and a device; warn once if it does not see the GPU.

    Raises:
        ConfigError: a setting is wrong, or JAX has no device.
    """
    for name, required in REQUIRED.items():
        value = jax.config.values[name]
        if value != required:
            raise ConfigError(f"cnn3 needs {name.upper()}={_format(required)}, but it is {_format(value)}; unset it")
    try:
        platform = jax.default_backend()
    except (RuntimeError, AssertionError) as error:  # the platform that was asked for does not exist
        platforms = os.environ.get("JAX_PLATFORMS") or jax.config.values["jax_platforms"]
        reason = str(error).split("\n", 1)[0] or "it has none"
        raise ConfigError(
            f"JAX finds no device for JAX_PLATFORMS={platforms} ({reason}); unset it to use the CPU"
        ) from None
    if platform == "cpu":
        _warn_of_unseen_gpu()


@cache  # once a process
def _warn_of_unseen_gpu() -> None:
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if "cpu" not in platforms and any(path.exists() for path in NVIDIA_PATHS):
        log.warning(
            "this machine has an NVIDIA GPU, but JAX does not see it and runs on the CPU: install cnn3[cuda13] "
            "(driver 580 or later) or cnn3[cuda12], or set JAX_PLATFORMS=cpu if that is intended"
        )


def _format(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
