"""Training one run with the whole machine, and several at a time, each with its share of the cores (`--jobs`).

python -m benchmarks.jobs --data-dir DIR

Each run is a process that sleeps while others are timed; one run and several take turns. Images a second are those of
all runs together, from the start of the first to the end of the last.
"""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import tyro

from benchmarks.job import Job
from benchmarks.workers import Worker
from experiments.support.placement import inherit_placement, placements

GIB = 2**30


@dataclass(frozen=True)
class Options:
    """What is timed.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        dataset: whose images are taken.
        variant: of the network.
        batch_size: images a step.
        images: how many a run trains on in a round, a multiple of the batch size.
        jobs: runs at a time, compared with one.
        rounds: times that each is timed.
    """

    data_dir: str = ""
    dataset: Literal["cifar10", "digits"] = "cifar10"
    variant: Literal["baseline", "batch_norm", "dropout", "dense"] = "batch_norm"
    batch_size: int = 64
    images: int = 1024
    jobs: int = 2
    rounds: int = 5


@dataclass
class Timed:
    """So many runs at a time."""

    workers: Sequence[Worker]
    rates: list[float]
    memory: float = 0.0


def start(options: Options, jobs: int) -> Timed:
    """Start so many workers, each with its share of the machine."""
    job = Job(options.data_dir, options.variant, options.batch_size, options.images, dataset=options.dataset)
    workers = []
    for place in placements(jobs):
        with inherit_placement(place):
            workers.append(Worker(job))
    return Timed(workers, [])


def train(timed: Timed, images: int) -> None:
    """Let all workers train at the same time, once."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(timed.workers)) as pool:
        answers = list(pool.map(lambda worker: worker.ask("train"), timed.workers))
    timed.rates.append(len(answers) * images / (time.perf_counter() - begun))
    timed.memory = sum(answer["peak_memory"] for answer in answers)


def main() -> None:
    """Time everything, and print a table."""
    options = tyro.cli(Options, description=__doc__)
    counts = (1, options.jobs)
    all_timed = [start(options, jobs) for jobs in counts]
    for timed in all_timed:
        for worker in timed.workers:
            worker.prepare()
    for number in range(options.rounds):
        for timed in all_timed if number % 2 else reversed(all_timed):
            train(timed, options.images)
    one, _ = all_timed
    print("| runs at a time | images/s of all | ratio, median of rounds | memory of all, GiB |\n|---:|---:|---:|---:|")
    for jobs, timed in zip(counts, all_timed, strict=True):
        ratio = statistics.median(b / a for a, b in zip(one.rates, timed.rates, strict=True))
        print(f"| {jobs} | {statistics.median(timed.rates):.0f} | {ratio:.2f} | {timed.memory / GIB:.1f} |")
    for timed in all_timed:
        for worker in timed.workers:
            worker.close()


if __name__ == "__main__":
    main()
