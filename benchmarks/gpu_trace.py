"""What a training step consists of on a GPU: its kernels, how many there are and how long they take.

python -m benchmarks.gpu_trace --data-dir DIR --variant batch_norm --batch-size 64

Traces one epoch with JAX's profiler, and prints the kernels a step and a table of those that take longest. Without a
GPU it shows the operations of the CPU.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Options:
    """What is traced: `images`, a multiple of `batch_size`, of CIFAR-10 in TFDS's folder `data_dir`."""

    data_dir: Path | None = None
    variant: str = "batch_norm"
    batch_size: int = 64
    precision: Precision = "fp32"
    images: int = 2560


def kernels(planes: Iterable[Any]) -> Iterator[Any]:
    """Yield what ran on the GPU's streams, or the operations that ran on the CPU if there is none."""
    by_name = {plane.name: plane for plane in planes}
    gpus = [plane for name, plane in by_name.items() if name.startswith("/device:GPU")]
    for plane in gpus:
        yield from (event for line in plane.lines if line.name.startswith("Stream") for event in line.events)
    if not gpus:
        events = (event for line in by_name["/host:CPU"].lines for event in line.events)
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
        (profile,) = Path(folder).rglob("*.xplane.pb")
        planes = ProfileData.from_file(str(profile)).planes
        return list(table(kernels(planes), -(-len(dataset.train.labels) // config.batch_size)))


def main() -> None:
    """Print the table."""
    options = tyro.cli(Options, description=__doc__)
    config = RunConfig(VARIANTS[options.variant], batch_size=options.batch_size, precision=options.precision)
    lines = trace(config, load("cifar10", options.data_dir, limit=options.images))
    print("\n".join((f"{jax.devices()[0].device_kind}, {options}", *lines)))


if __name__ == "__main__":
    main()
