"""Speed on a CPU by version of JAX, in interleaved rounds.

python -m benchmarks.jax_versions --data-dir DIR --pythons .venv/bin/python other/bin/python

Each Python is that of a virtual environment with cnn3's dependencies and some version of JAX; all run the code in the
working directory. Times whole training epochs and evaluation of the first images of CIFAR-10, and separately
compilation, without a cache. Prints a table of medians; ratios are to the first Python's. Nothing else should run
meanwhile.
"""

import statistics
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.job import VARIANT_NAMES, Job, VariantName
from benchmarks.workers import Worker

PHASES = ("train", "evaluate")
NO_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
VERSIONS = "import platform, jax; print(f'jax {jax.__version__}, Python {platform.python_version()}')"


@dataclass(frozen=True)
class Options:
    """Options of the timing.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pythons: interpreters, each from an environment with another version of JAX.
        variants: of the network.
        batch_size: images per step.
        images: images of one timing, a multiple of the batch size.
        rounds: number of timings of each version.
    """

    data_dir: Path
    pythons: tuple[Path, ...]
    variants: tuple[VariantName, ...] = VARIANT_NAMES
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
        rates: dict[str, dict[str, list[float]]] = {name: {phase: [] for phase in PHASES} for name in workers}
        for _ in range(options.rounds):
            for phase in PHASES:
                for name, worker in workers.items():
                    rates[name][phase].append(worker.ask(phase)["images_per_second"])
    return {
        name: {"compile": compiled[name], **{phase: statistics.median(values) for phase, values in phases.items()}}
        for name, phases in rates.items()
    }


def table(variant: str, versions: Mapping[str, Mapping[str, float]]) -> Sequence[str]:
    """Return a line for each version, with ratios to the first."""
    first = next(iter(versions.values()))
    return [
        f"| {variant} | {name} | {speed['compile']:.1f} | {speed['train']:.0f} | "
        f"{speed['train'] / first['train']:.2f} | {speed['evaluate']:.0f} | "
        f"{speed['evaluate'] / first['evaluate']:.2f} |"
        for name, speed in versions.items()
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
