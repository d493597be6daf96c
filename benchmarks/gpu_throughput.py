"""Training and evaluation speed on a GPU: cnn3 in float32 and bfloat16, and a PyTorch program in several ways.

All have their images on the GPU from the start. For each batch size and variant, the programs are compiled one after
another, and then timed in interleaved rounds, each in its own process. A program that fails is reported, and the others
continue.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from benchmarks.gpu_tables import HEADER, Measured, draw, rows
from benchmarks.job import Job
from benchmarks.peak import peak_flops
from benchmarks.workers import GPU_ENVIRONMENT, Worker, WorkerError
from cnn3 import files, plots

CHANNELS_LAST = {"channels_last": True}
AMP = {"precision": "bf16"}
COMPILED = {"compile_mode": "default"}
GRAPHS = {"compile_mode": "reduce-overhead"}  # CUDA graphs
PYTORCH: Mapping[str, Mapping[str, Any]] = {
    "pytorch": {},
    "pytorch-channels-last": CHANNELS_LAST,
    "pytorch-amp": CHANNELS_LAST | AMP,
    "pytorch-compile": CHANNELS_LAST | COMPILED,
    "pytorch-compile-amp": CHANNELS_LAST | COMPILED | AMP,
    "pytorch-graphs": CHANNELS_LAST | GRAPHS,
    "pytorch-graphs-amp": CHANNELS_LAST | GRAPHS | AMP,
}
CNN3: Mapping[str, Mapping[str, Any]] = {"cnn3": {}, "cnn3-bf16": AMP}
PROGRAMS = CNN3 | PYTORCH
DEFAULT = ("cnn3", "cnn3-bf16", "pytorch", "pytorch-channels-last", "pytorch-amp")  # quick to compile

IMAGES = 10_240  # of a timing
PATIENCE = 240.0  # seconds that a worker may take to answer
PEAK_SIDE = 8192  # of the square matrices whose product gives the peak

NOTES = (
    "All images are on the GPU; cnn3 augments them, PyTorch does not.",
    "Products and convolutions of float32 may use TF32 on both sides; both choose their kernels by timing them.",
)


class TimedProgram(Protocol):
    """What `measure` needs of a worker."""

    def prepare(self) -> dict[str, Any]:
        """Return the seconds of compiling, `compile`, and the `program_memory`."""
        ...

    def ask(self, phase: str) -> dict[str, float]:
        """Return the answer to `train` or `evaluate`."""
        ...


@dataclass(frozen=True)
class Plan:
    """What is timed, how often, and for how long in total."""

    data_dir: Path
    pytorch: Path
    variants: Sequence[str]
    batch_sizes: Sequence[int]
    programs: Sequence[str]
    rounds: int
    images: int
    seconds: float
    output: Path
    device: str = "cuda"  # PyTorch's name of it
    dataset: str = "cifar10"


def jobs(plan: Plan, variant: str, batch_size: int) -> dict[str, Job]:
    """Return the jobs to compare, by the programs' names."""
    cnn3 = Job(str(plan.data_dir), variant, batch_size, plan.images, dataset=plan.dataset)
    pytorch = replace(cnn3, program=str(plan.pytorch), device=plan.device)
    return {name: replace(pytorch if name in PYTORCH else cnn3, **PROGRAMS[name]) for name in plan.programs}


@contextmanager
def running_workers(jobs: Mapping[str, Job]) -> Iterator[dict[str, Worker]]:
    """Start a worker for each job, all at once, and stop them afterwards."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(closing(start(job))) for name, job in jobs.items()}


def start(job: Job) -> Worker:
    """Start a worker that shares the GPU; in a PyTorch worker, JAX stays off it."""
    return Worker(job, GPU_ENVIRONMENT | ({} if job.program is None else {"JAX_PLATFORMS": "cpu"}), PATIENCE)


def measure(workers: Mapping[str, TimedProgram], rounds: int) -> dict[str, Measured]:
    """Prepare the workers one after another, then time them in turn; return all timings, or why one failed."""
    results: dict[str, Measured] = {}
    for name, worker in workers.items():
        with _record_failure(results, name):
            prepared = worker.prepare()
            results[name] = {
                "compile_seconds": prepared["compile"],
                "program_memory": prepared["program_memory"],
                "rates": {"train": [], "evaluate": []},
                "memory": 0,
            }
    for _, phase, name in product(range(rounds), ("train", "evaluate"), workers):
        if "failed" not in results[name]:
            with _record_failure(results, name):
                answer = workers[name].ask(phase)
                results[name]["rates"][phase].append(answer["images_per_second"])
                results[name]["memory"] = answer["peak_memory"]
    return results


@contextmanager
def _record_failure(results: dict[str, Measured], name: str) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        results[name] = {"failed": str(error)}


def run(plan: Plan) -> None:
    """Time everything, print each line as soon as it is measured, and write the files."""
    started = time.perf_counter()
    folder = files.make_folder(plan.output)
    peaks = {"fp32": peak_flops(side=PEAK_SIDE), "bf16": peak_flops(jnp.bfloat16, PEAK_SIDE)}
    print("\n".join((machine(peaks), *NOTES, "", *HEADER)), flush=True)
    content: dict[str, Any] = {"machine": machine(peaks), "peak_flops": peaks, "images": plan.images, "results": []}
    remaining = list(product(plan.batch_sizes, plan.variants))
    longest = 0.0
    while remaining and time.perf_counter() - started + longest < plan.seconds:
        start = time.perf_counter()
        batch_size, variant = remaining.pop(0)
        with running_workers(jobs(plan, variant, batch_size)) as workers:
            programs = measure(workers, plan.rounds)
        result = {"variant": variant, "batch_size": batch_size, "programs": programs}
        content["results"].append(result)
        report(result, peaks)
        files.write(folder / "throughput.json", json.dumps(content, indent=1) + "\n")
        longest = max(longest, time.perf_counter() - start)
    if remaining:
        skipped = ", ".join(f"{variant} {batch_size}" for batch_size, variant in remaining)
        print(f"not measured within {plan.seconds:.0f} seconds: {skipped}")
    plots.save(draw(content["results"]), folder / "throughput.png")
    print(f"wrote {folder / 'throughput.json'}\nwrote {folder / 'throughput.png'}")


def report(result: Mapping[str, Any], peaks: Mapping[str, float]) -> None:
    """Print the lines of a variant and batch size, and on stderr why a program failed."""
    print("\n".join(rows(result, peaks)), flush=True)
    for name, measured in result["programs"].items():
        if "failed" in measured:
            message = f"{result['variant']}, batch {result['batch_size']}, {name} failed: {measured['failed']}"
            print(message, file=sys.stderr, flush=True)


def machine(peaks: Mapping[str, float]) -> str:
    """Return a description of the machine and its software."""
    try:
        torch = f", torch {version('torch')}"
    except PackageNotFoundError:
        torch = ""
    speed = ", ".join(f"{peak / 1e12:.0f} TFLOP/s in {name} matrix products" for name, peak in peaks.items())
    return f"{jax.devices()[0].device_kind}, {speed}, jax {jax.__version__}{torch}"
