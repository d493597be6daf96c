"""The versions and hardware of this process."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

import jax
import psutil

from cnn3.runs.machine import cores, processor

PACKAGES = ("cnn3", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


def environment() -> Mapping[str, str]:
    """Return the versions and hardware of this process by name."""
    devices = jax.devices()
    accelerator = f"{len(devices)} x {devices[0].device_kind}" if devices[0].platform != "cpu" else "none"
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{processor()}, {len(cores())} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "accelerator": accelerator,
    }
