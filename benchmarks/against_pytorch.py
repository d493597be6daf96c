"""Compares whole runs of cnn3 with those of a PyTorch program, and tests the differences against seed noise.

python -m benchmarks.against_pytorch --data-dir DIR --pytorch pytorch_program.py --epochs 3 --seeds 3

Both train the study's default run, cnn3 with the published protocol. A seed gives both the same split, but not the same
random numbers. For each variant and epoch the table gives the means with their standard deviations over the seeds, the
difference, and the p-value of Welch's t-test; by chance, one p-value in twenty is below 0.05.
`benchmarks.pytorch_program` says what the PyTorch program must define. Finished runs of the same code are reused.
"""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, set_start_method
from pathlib import Path
from typing import Any

import tyro
from scipy.stats import ttest_ind

from benchmarks.job import VariantName
from benchmarks.pytorch_program import load_program, train_epochs
from cnn3 import PROTOCOLS, VARIANTS, RunConfig, files, fit, load
from cnn3.config import SEED
from cnn3.runs.compilation import cache_compilations

BATCH_SIZE = 128
History = Sequence[Mapping[str, Any]]
METRICS = (("train", "accuracy"), ("train", "loss"), ("validation", "accuracy"), ("validation", "loss"))


@dataclass(frozen=True)
class Options:
    """Options of the comparison.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pytorch: the PyTorch program.
        variants: of the network, baseline and batch_norm.
        epochs: of each run.
        seeds: runs of each program, at least two.
        limit: train on the first N training images only.
        output: folder for the runs.
    """

    data_dir: Path
    pytorch: Path
    variants: tuple[VariantName, ...] = ("baseline", "batch_norm")
    epochs: int = 3
    seeds: int = 3
    limit: int | None = None
    output: Path = Path("results/against_pytorch")

    def name(self, variant: str, seed: int) -> str:
        """Return the name of a run."""
        return f"{variant}-{self.limit or 'all'}-{self.epochs}-{seed}"


def train_cnn3(options: Options, variant: str, seed: int) -> History:
    """Train cnn3, or read the finished run."""
    config = RunConfig(
        VARIANTS[variant],
        batch_size=BATCH_SIZE,
        protocol=PROTOCOLS["published"],
        epochs=options.epochs,
        limit=options.limit,
        seed=seed,
    )
    dataset = load("cifar10", options.data_dir, seed=seed, limit=options.limit)
    folder = options.output / f"cnn3-{options.name(variant, seed)}"
    return fit(config, dataset, folder, label=f"cnn3, {variant}, seed {seed}").history


def train_pytorch(options: Options, variant: str, seed: int) -> History:
    """Train the PyTorch program in its own process, or read the finished history of the same program."""
    program = files.digest(options.pytorch.read_bytes())[:8]
    path = options.output / f"pytorch-{options.name(variant, seed)}-{program}.json"
    if not path.exists():
        print(f"PyTorch, {variant}, seed {seed}", flush=True)
        context = get_context("spawn")  # a program can be loaded only once per process: it has global state
        with ProcessPoolExecutor(1, context) as pool:
            history = pool.submit(_run_program, options, variant, seed).result()
        files.write(path, json.dumps(history, indent=1) + "\n")
    return json.loads(path.read_text())


def _run_program(options: Options, variant: str, seed: int) -> History:
    """Train the PyTorch program in this process."""
    set_start_method("fork", force=True)  # for its loader's workers: its classes cannot be pickled
    program = load_program(options.pytorch, options.data_dir, variant, BATCH_SIZE, seed=seed)
    history = []
    for row in train_epochs(program, options.epochs, options.limit):
        history.append(row)
        print(json.dumps({"epoch": len(history), **row}), flush=True)
    return history


def rows(variant: str, cnn3: Sequence[History], pytorch: Sequence[History]) -> Iterator[str]:
    """Yield a line of the table for each epoch and metric."""
    for epoch in range(len(cnn3[0])):
        for split, metric in METRICS:
            a, b = ([history[epoch][split][metric] for history in histories] for histories in (cnn3, pytorch))
            cells = [f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}" for values in (a, b)]
            difference, (_, p) = statistics.fmean(a) - statistics.fmean(b), ttest_ind(a, b, equal_var=False)
            yield f"| {variant} | {epoch + 1} | {split} {metric} | {' | '.join(cells)} | {difference:+.4f} | {p:.2f} |"


def main() -> None:
    """Train the missing runs, and print the table."""
    options = tyro.cli(Options, description=__doc__)
    if options.seeds < 2:
        sys.exit(f"error: seeds must be at least 2 to estimate their spread, not {options.seeds}")
    cache_compilations()
    lines = ["| variant | epoch | metric | cnn3 | PyTorch | difference | p |", "|---|---:|---|---:|---:|---:|---:|"]
    for variant in options.variants:
        seeds = range(SEED, SEED + options.seeds)
        lines += rows(
            variant,
            [train_cnn3(options, variant, seed) for seed in seeds],
            [train_pytorch(options, variant, seed) for seed in seeds],
        )
    table = "\n".join(lines)
    print(table)
    files.write(options.output / "table.md", table + "\n")


if __name__ == "__main__":
    main()
