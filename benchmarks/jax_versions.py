"""Speed on a CPU by version of JAX, in interleaved rounds.

python -m benchmarks.jax_versions --data-dir DIR --pythons .venv/bin/python other/bin/python

Each Python is that of a virtual environment with cnn3's dependencies and some version of JAX; all run the code in the
working directory. Times whole training epochs and evaluation of the first images of CIFAR-10, compilation apart and
without a cache. Prints a table of medians; ratios are to the first Python's. Nothing else should run meanwhile.
"""

import statistics
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.job import Job
from benchmarks.workers import Worker
from cnn3 import VARIANTS

WORK = ("train", "evaluate")
NO_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
VERSIONS = "import platform, jax; print(f'jax {jax.__version__}, Python {platform.python_version()}')"


@dataclass(frozen=True)
class Options:
    """What is timed.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pythons: interpreters, each of an environment with another version of JAX.
        variants: of the network.
        batch_size: images a step.
        images: how many one timing takes; a multiple of the batch size.
        rounds: times that each version is timed.
    """

    data_dir: Path
    pythons: tuple[Path, ...]
    variants: tuple[str, ...] = tuple(VARIANTS)
    batch_size: int = 128
    images: int = 1024
    rounds: int = 5


def measure(options: Options, variant: str) -> dict[str, dict[str, float]]:
    """Return, for each version, the seconds of compiling an epoch and the median speeds."""
    job = Job(str(options.data_dir), variant, options.batch_size, options.images)
    with ExitStack() as stack:
        workers = {
            subprocess.check_output([python, "-c", VERSIONS], text=True).strip(): stack.enter_context(
                closing(Worker(job, NO_CACHE, python=python))
            )
            for python in options.pythons
        }
        compiled = {name: worker.prepare()["compile"] for name, worker in workers.items()}
        rates: dict[str, dict[str, list[float]]] = {name: {what: [] for what in WORK} for name in workers}
        for _ in range(options.rounds):
            for what in WORK:
                for name, worker in workers.items():
                    rates[name][what].append(worker.ask(what)["images_per_second"])
    medians = {name: {what: statistics.median(of) for what, of in each.items()} for name, each in rates.items()}
    return {name: {"compile": compiled[name], **each} for name, each in medians.items()}


def table(variant: str, versions: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    """Return a line for each version, with ratios to the first."""
    first = next(iter(versions.values()))
    return [
        f"| {variant} | {name} | {of['compile']:.1f} | {of['train']:.0f} | {of['train'] / first['train']:.2f} | "
        f"{of['evaluate']:.0f} | {of['evaluate'] / first['evaluate']:.2f} |"
        for name, of in versions.items()
    ]


def main() -> None:
    """Time everything and print the table."""
    options = tyro.cli(Options, description=__doc__)
    print("| variant | versions | compiling an epoch, s | training, images/s | ratio | evaluation, images/s | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for variant in options.variants:
        print("\n".join(table(variant, measure(options, variant))), flush=True)


if __name__ == "__main__":
    main()
