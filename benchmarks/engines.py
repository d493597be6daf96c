"""What a run costs besides its training, with `--jobs` and with Ray, and how that grows with the number of runs.

python -m benchmarks.engines

Each run trains a tiny network for one epoch in a process of its own, with one core on Ray and its share of the cores
with `--jobs`. The first runs of each engine, which compile, are not counted. Ray has this machine alone, or the cluster
that RAY_ADDRESS names.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import tyro

from cnn3 import ModelConfig
from experiments.support.options import Options
from experiments.support.ray_cluster import connect
from experiments.support.runner import run_all

TINY = ModelConfig(channels=(4, 4, 4), hidden=(16, 128))
Engine = Literal["processes", "ray"]


@dataclass(frozen=True)
class Timing:
    """Options of the timing.

    Args:
        counts: the numbers of runs.
        jobs: runs at a time with processes; with Ray, as many as the cluster has cores.
        engines: what to time.
    """

    counts: tuple[int, ...] = (50, 100, 200)
    jobs: int = 2
    engines: tuple[Engine, ...] = ("processes", "ray")


def train(engine: Engine, jobs: int, runs: int) -> float:
    """Return the seconds that so many runs take together."""
    with TemporaryDirectory() as output:
        make = partial(Options, dataset="digits", output=Path(output), epochs=1, seeds=runs, limit=128)
        options = make(engine="ray") if engine == "ray" else make(jobs=jobs)
        started = time.perf_counter()
        run_all(options, "engines", {"tiny": options.config(model=TINY, batch_size=64)})
        return time.perf_counter() - started


def time_engine(engine: Engine, timing: Timing) -> Sequence[float]:
    """Return the seconds that each number of runs takes, after others have compiled the programs."""
    train(engine, timing.jobs, timing.jobs)
    return [train(engine, timing.jobs, count) for count in timing.counts]


def main() -> None:
    """Time everything, and print a table."""
    timing = tyro.cli(Timing, description=__doc__)
    if "ray" in timing.engines:
        connect(None)  # before JAX has threads
    print("| engine | runs | seconds | seconds a run |\n|---|---:|---:|---:|")
    for engine in timing.engines:
        for count, seconds in zip(timing.counts, time_engine(engine, timing), strict=True):
            print(f"| {engine} | {count} | {seconds:.1f} | {seconds / count:.2f} |", flush=True)


if __name__ == "__main__":
    main()
