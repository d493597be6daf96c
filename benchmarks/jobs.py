"""Training one run with the whole machine, and several at a time, each with its share of the cores (`--jobs`).

python -m benchmarks.jobs --data-dir DIR

Each run is a process that sleeps while others are timed; one run and several take turns. Images per second are counted
over all runs together, from the start of the first to the end of the last.
"""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import tyro

from benchmarks.job import Job, VariantName
from benchmarks.workers import Worker
from experiments.support.placement import inherit_placement, placements

GIB = 2**30


@dataclass(frozen=True)
class Options:
    """Options of the timing.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        dataset: the data set.
        variant: of the network.
        batch_size: images a step.
        images: images that a run trains on in a round, a multiple of the batch size.
        jobs: runs at a time, compared with one.
        rounds: number of timings of each.
    """

    data_dir: str = ""
    dataset: Literal["cifar10", "digits"] = "cifar10"
    variant: VariantName = "batch_norm"
    batch_size: int = 64
    images: int = 1024
    jobs: int = 2
    rounds: int = 5


@dataclass
class Timed:
    """Runs that train at the same time, and their timings."""

    workers: Sequence[Worker]
    rates: list[float]
    memory: float = 0.0


def start(options: Options, jobs: int) -> Timed:
    """Start `jobs` workers, each with its share of the machine."""
    job = Job(options.data_dir, options.variant, options.batch_size, options.images, dataset=options.dataset)
    workers = []
    for place in placements(jobs):
        with inherit_placement(place):
            workers.append(Worker(job))
    return Timed(workers, [])


def train(timed: Timed, images: int) -> None:
    """Let all workers train at the same time, once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(timed.workers)) as pool:
        answers = list(pool.map(lambda worker: worker.ask("train"), timed.workers))
    timed.rates.append(len(answers) * images / (time.perf_counter() - started))
    timed.memory = sum(answer["peak_memory"] for answer in answers)


def main() -> None:
    """Time everything, and print a table."""
    options = tyro.cli(Options, description=__doc__)
    counts = (1, options.jobs)
    groups = [start(options, jobs) for jobs in counts]
    for timed in groups:
        for worker in timed.workers:
            worker.prepare()
    for round_number in range(options.rounds):
        for timed in groups if round_number % 2 else reversed(groups):
            train(timed, options.images)
    baseline, _ = groups
    print("| runs at a time | images/s of all | ratio, median of rounds | memory of all, GiB |\n|---:|---:|---:|---:|")
    for jobs, timed in zip(counts, groups, strict=True):
        ratio = statistics.median(b / a for a, b in zip(baseline.rates, timed.rates, strict=True))
        print(f"| {jobs} | {statistics.median(timed.rates):.0f} | {ratio:.2f} | {timed.memory / GIB:.1f} |")
    for timed in groups:
        for worker in timed.workers:
            worker.close()


if __name__ == "__main__":
    main()
