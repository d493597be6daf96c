"""What a result was computed with: versions and hardware."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import jax
import psutil

PACKAGES = ("cnn3", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


def environment() -> Mapping[str, str]:
    """Return versions and hardware of this process, by what they are of."""
    devices = jax.devices()
    accelerator = f"{len(devices)} x {devices[0].device_kind}" if devices[0].platform != "cpu" else "none"
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {len(_cores())} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "accelerator": accelerator,
    }


def _cores() -> set[int]:
    """Return the cores that this process may use."""
    count = os.cpu_count() or 1
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(count))


def _processor() -> str:
    """Return the processor's name, which Linux alone keeps in a file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
