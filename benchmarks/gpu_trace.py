"""What a training step consists of: how many kernels it has and how long they take; on a CPU, its operations.

python -m benchmarks.gpu_trace --data-dir DIR --variant batch_norm --batch-size 64
"""

import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import tyro
from jax.profiler import ProfileData

from benchmarks.cnn3_program import compile_program
from cnn3 import VARIANTS, Dataset, RunConfig, load
from cnn3.config import Precision

SHOWN = 25
CONTAINERS = ("while", "conditional", "call", "end: ")  # of a CPU's operations: what they contain is listed apart


def kernels(planes: Iterable[Any]) -> Iterator[Any]:
    """Yield what ran on the GPU's streams, or the operations that ran on the CPU if there is none."""
    lines = {plane.name: list(plane.lines) for plane in planes}
    if gpus := [line for name, of in lines.items() if name.startswith("/device:GPU") for line in of]:
        yield from (event for line in gpus if line.name.startswith("Stream") for event in line.events)
    else:
        events = (event for line in lines["/host:CPU"] for event in line.events)
        yield from (e for e in events if "hlo_op" in dict(e.stats) and not e.name.startswith(CONTAINERS))


def table(events: Iterable[Any], steps: int) -> Iterator[str]:
    """Yield how many kernels a step has and how long they take, and a table of those that take longest."""
    durations = defaultdict(list)
    for event in events:
        durations[event.name].append(event.duration_ns / 1e3 / steps)
    count, total = sum(map(len, durations.values())), sum(map(sum, durations.values()))
    yield f"{count / steps:.1f} kernels and {total:.1f} µs of them a step\n"
    yield "| kernel | in a step | µs a step | share |\n|---|---:|---:|---:|"
    for name, of in sorted(durations.items(), key=lambda item: -sum(item[1]))[:SHOWN]:
        yield f"| {name} | {len(of) / steps:.2f} | {sum(of):.1f} | {sum(of) / total:.1%} |"


def trace(config: RunConfig, dataset: Dataset) -> list[str]:
    """Trace an epoch, the second after compilation, and return the lines of its table."""
    compiled = compile_program(config, dataset.train, dataset.test)
    compiled.train()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            compiled.train()
        (path,) = Path(folder).rglob("*.xplane.pb")
        profile = ProfileData.from_file(str(path))  # which has to live as long as what is read from it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of JAX's own types; as an error it ends the process
            return list(table(kernels(profile.planes), -(-len(dataset.train.labels) // config.batch_size)))


def main(
    data_dir: Path, variant: str = "batch_norm", batch_size: int = 64, precision: Precision = "fp32", images: int = 2560
) -> None:
    """Trace one epoch of CIFAR-10's first images, and print its table."""
    config = RunConfig(VARIANTS[variant], batch_size=batch_size, precision=precision)
    print(f"{jax.devices()[0].device_kind}, {variant}, batch {batch_size}, {precision}", flush=True)
    print("\n".join(trace(config, load("cifar10", data_dir, limit=images))))


if __name__ == "__main__":
    tyro.cli(main)
