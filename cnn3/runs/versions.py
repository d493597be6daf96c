"""What a run's bits depend on besides its configuration: code, data, versions, settings of JAX and the machine.

Each run keeps these in `versions.json`. Older versions of cnn3 recorded less: a missing name means unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version

import jax

from cnn3.config import RunConfig
from cnn3.data.dataset import Dataset
from cnn3.kernels import default_kernels
from cnn3.runs.fingerprint import code_fingerprint
from cnn3.runs.machine import cores, processor

Versions = Mapping[str, str]

CODE, DATA = "code", "data"
INIT = "init"  # a digest of the weights that a run started from; missing if its seed drew them
PACKAGES = ("jax", "jaxlib", "flax", "optax")  # they compute and draw a run's numbers
SETTINGS = (*PACKAGES, "platform", "kernels", "matmul_precision")
MACHINE = ("device", "cores")  # the last bits depend on these too, but a run may move to another machine


def run_versions(config: RunConfig, dataset: Dataset, init: str | None = None) -> Versions:
    """Return the versions of a run that this process trains; `init` is the digest of weights that it starts from."""
    return {**current_versions(config), DATA: dataset.digest, **({} if init is None else {INIT: init})}


def current_versions(config: RunConfig) -> Versions:
    """Return the versions that do not depend on the data."""
    device = jax.devices()[0]
    cpu = device.platform == "cpu"
    return {
        "cnn3": version("cnn3"),
        **{name: version(name) for name in PACKAGES},
        CODE: code_fingerprint(),
        "platform": device.platform,
        "kernels": default_kernels(config.precision),
        "matmul_precision": jax.config.values["jax_default_matmul_precision"] or "default",
        "device": processor() if cpu else device.device_kind,
        "cores": str(len(cores())),
    }


def code_mismatch(saved: Versions, current: Versions) -> str | None:
    """Describe the other code that made a run, or return None if it was the same."""
    if saved.get(CODE) == current[CODE]:
        return None
    return describe_other_code(saved.get("cnn3", "unknown"), [saved.get(CODE, "unknown")], current)


def describe_other_code(cnn3: str, codes: Sequence[str], current: Versions) -> str:
    """Describe a version of cnn3 and its code, or several codes of it, beside the current ones."""
    code = f"code{'s' if len(codes) > 1 else ''} {', '.join(codes)}"
    return f"cnn3 {cnn3} ({code}), not {current['cnn3']} (code {current[CODE]})"


def data_mismatch(saved: Versions, digest: str | None) -> str | None:
    """Describe the other data that a run was trained on, or return None if the same or if one of them is unknown."""
    if digest is None or saved.get(DATA, digest) == digest:
        return None
    return f"data {saved[DATA]}, not {digest}"


def init_mismatch(saved: Versions, init: str | None) -> str | None:
    """Describe the other initial weights that a run started from, or return None if they were the same."""
    drawn = "those that its seed draws"
    if saved.get(INIT) == init:
        return None
    return f"initial weights {saved.get(INIT, drawn)}, not {drawn if init is None else init}"


def settings_mismatch(saved: Versions, current: Versions, names: Iterable[str] = SETTINGS) -> str | None:
    """Describe the other versions and settings that a run was trained with, or return None if they were the same."""
    differing = [name for name in names if name in saved and saved[name] != current[name]]
    return " and ".join(f"{name} {saved[name]}, not {current[name]}" for name in differing) or None
