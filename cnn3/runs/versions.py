"""What a run's bits depend on beside its configuration: code, data, versions, and settings of JAX.

Each run keeps such a record in `versions.json`. Older versions of cnn3 recorded less: a name that a record lacks is
not known.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import jax

from cnn3.config import RunConfig
from cnn3.data.dataset import Dataset
from cnn3.kernels import default_kernels
from cnn3.runs.fingerprint import code_fingerprint

Record = Mapping[str, str]

CODE, DATA = "code", "data"
SETTINGS = ("jax", "jaxlib", "platform", "kernels", "matmul_precision")
MACHINE = ("device", "cores")  # on which the last bits depend, too; a run may move all the same


def make_record(config: RunConfig, dataset: Dataset) -> Record:
    """Return the record of a run that this process trains."""
    return {**current_record(config), DATA: dataset.digest}


def current_record(config: RunConfig) -> Record:
    """Return what a record holds that does not depend on the data."""
    device = jax.devices()[0]
    cpu = device.platform == "cpu"
    return {
        "cnn3": version("cnn3"),
        "jax": version("jax"),
        "jaxlib": version("jaxlib"),
        CODE: code_fingerprint(),
        "platform": device.platform,
        "kernels": default_kernels(config.precision),
        "matmul_precision": jax.config.values["jax_default_matmul_precision"] or "default",
        "device": processor() if cpu else device.device_kind,
        "cores": str(len(cores())),
    }


def code_mismatch(saved: Record, current: Record) -> str | None:
    """Return in words which other code made a run, or None if the same did."""
    if saved.get(CODE) == current[CODE]:
        return None
    known = f"code {saved[CODE]}" if CODE in saved else "code unknown"
    return f"cnn3 {saved.get('cnn3', 'unknown')} ({known}), not {current['cnn3']} (code {current[CODE]})"


def data_mismatch(saved: Record, digest: str | None) -> str | None:
    """Return in words on which other data a run was trained, or None if on the same, or one of them is not known."""
    if digest is None or saved.get(DATA, digest) == digest:
        return None
    return f"data {saved[DATA]}, not {digest}"


def settings_mismatch(saved: Record, current: Record, names: Iterable[str] = SETTINGS) -> str | None:
    """Return in words under which other versions and settings a run was trained, or None if under the same."""
    differing = [name for name in names if name in saved and saved[name] != current[name]]
    return " and ".join(f"{name} {saved[name]}, not {current[name]}" for name in differing) or None


def cores() -> set[int]:
    """Return the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def processor() -> str:
    """Return the processor's name, which Linux alone keeps in a file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
