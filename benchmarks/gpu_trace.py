"""The kernels of a training step on a GPU, or its operations on a CPU: how many there are and how long they take.

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
from benchmarks.job import VariantName
from cnn3 import VARIANTS, Dataset, RunConfig, load
from cnn3.config import Precision

SHOWN = 25  # rows of the table
CONTAINERS = ("while", "conditional", "call", "end: ")  # CPU operations whose contents are listed separately


def kernels(planes: Iterable[Any]) -> Iterator[Any]:
    """Yield what ran on the GPU's streams, or, without a GPU, the operations that ran on the CPU."""
    lines = {plane.name: list(plane.lines) for plane in planes}
    if gpu_lines := [line for name in lines if name.startswith("/device:GPU") for line in lines[name]]:
        yield from (event for line in gpu_lines if line.name.startswith("Stream") for event in line.events)
    else:
        events = (event for line in lines["/host:CPU"] for event in line.events)
        yield from (e for e in events if "hlo_op" in dict(e.stats) and not e.name.startswith(CONTAINERS))


def table(events: Iterable[Any], steps: int) -> Iterator[str]:
    """Yield the number of kernels of a step and their total time, and a table of those that take longest."""
    durations = defaultdict(list)
    for event in events:
        durations[event.name].append(event.duration_ns / 1e3 / steps)
    count, total = sum(map(len, durations.values())), sum(map(sum, durations.values()))
    yield f"{count / steps:.1f} kernels and {total:.1f} µs of them a step\n"
    yield "| kernel | in a step | µs a step | share |\n|---|---:|---:|---:|"
    for name, times in sorted(durations.items(), key=lambda item: -sum(item[1]))[:SHOWN]:
        yield f"| {name} | {len(times) / steps:.2f} | {sum(times):.1f} | {sum(times) / total:.1%} |"


def trace(config: RunConfig, dataset: Dataset) -> list[str]:
    """Trace an epoch, the second after compilation, and return the lines of its table."""
    program = compile_program(config, dataset.train, dataset.test)
    program.train()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            program.train()
        (path,) = Path(folder).rglob("*.xplane.pb")
        profile = ProfileData.from_file(str(path))  # must outlive what is read from it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of JAX's own types; as an error it ends the process
            return list(table(kernels(profile.planes), -(-len(dataset.train.labels) // config.batch_size)))


def main(
    data_dir: Path,
    variant: VariantName = "batch_norm",
    batch_size: int = 64,
    precision: Precision = "fp32",
    images: int = 2560,
) -> None:
    """Trace one epoch of CIFAR-10's first images, and print its table."""
    config = RunConfig(VARIANTS[variant], batch_size=batch_size, precision=precision)
    print(f"{jax.devices()[0].device_kind}, {variant}, batch {batch_size}, {precision}", flush=True)
    print("\n".join(trace(config, load("cifar10", data_dir, limit=images))))


if __name__ == "__main__":
    tyro.cli(main)
