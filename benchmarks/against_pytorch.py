"""Whole runs of cnn3, protocol published, beside those of a PyTorch program: does more than the seed part them.

python -m benchmarks.against_pytorch --data-dir DIR --pytorch pytorch_program.py --epochs 3 --seeds 3

Both train with the report's default run. A seed gives both the same split, but not the same random numbers. For each
variant and epoch the table gives the means with their standard deviations over the seeds, the difference, and the
p-value of Welch's t-test that the means are the same; of many numbers, one in twenty is below 0.05 by chance. The
PyTorch program has to take --data-dir, --bn, --lr, --batch-size, --epochs, --seed and --out FILE, to which it writes
the history as JSON. What is done is not repeated.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from scipy.stats import ttest_ind

from cnn3 import PROTOCOLS, VARIANTS, RunConfig, files, fit, load
from cnn3.compilation import cache_compilations
from cnn3.config import SEED

History = Sequence[Mapping[str, Any]]
METRICS = (("train", "accuracy"), ("train", "loss"), ("validation", "accuracy"), ("validation", "loss"))


@dataclass(frozen=True)
class Options:
    """What is compared.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pytorch: the PyTorch program.
        variants: of the network, baseline and batch_norm.
        epochs: of each run.
        seeds: runs of each program, two or more.
        output: folder for the runs.
    """

    data_dir: Path
    pytorch: Path
    variants: tuple[str, ...] = ("baseline", "batch_norm")
    epochs: int = 3
    seeds: int = 3
    output: Path = Path("results/against_pytorch")


def own(options: Options, variant: str, seed: int) -> History:
    """Train cnn3, or read what it has trained."""
    config = RunConfig(VARIANTS[variant], protocol=PROTOCOLS["published"], epochs=options.epochs, seed=seed)
    dataset = load("cifar10", options.data_dir, seed=seed)
    folder = options.output / f"cnn3-{variant}-{options.epochs}-{seed}"
    return fit(config, dataset, folder, label=f"cnn3, {variant}, seed {seed}").history


def pytorch(options: Options, variant: str, seed: int) -> History:
    """Run the PyTorch program, or read what it has left."""
    out = files.make_folder(options.output) / f"pytorch-{variant}-{options.epochs}-{seed}.json"
    done = json.loads(out.read_text())["epochs"] if out.exists() else []
    if len(done) == options.epochs:
        return done
    print(f"PyTorch, {variant}, seed {seed}", flush=True)
    settings = {
        "--data-dir": options.data_dir,
        "--bn": int(VARIANTS[variant].batch_norm),
        "--lr": 1e-3,
        "--batch-size": 128,
        "--epochs": options.epochs,
        "--seed": seed,
        "--out": out,
    }
    arguments = [str(part) for pair in settings.items() for part in pair]
    subprocess.run([sys.executable, str(options.pytorch), *arguments], check=True)
    return json.loads(out.read_text())["epochs"]


def rows(variant: str, ours: Sequence[History], theirs: Sequence[History]) -> Iterator[str]:
    """Yield a line of the table for each epoch and metric."""
    for epoch in range(len(ours[0])):
        for split, metric in METRICS:
            a, b = ([history[epoch][split][metric] for history in of] for of in (ours, theirs))
            cells = [f"{statistics.fmean(of):.4f} ± {statistics.stdev(of):.4f}" for of in (a, b)]
            difference, (_, p) = statistics.fmean(a) - statistics.fmean(b), ttest_ind(a, b, equal_var=False)
            yield f"| {variant} | {epoch + 1} | {split} {metric} | {' | '.join(cells)} | {difference:+.4f} | {p:.2f} |"


def main() -> None:
    """Train what is not yet trained, and print the table."""
    options = tyro.cli(Options, description=__doc__)
    if options.seeds < 2:
        sys.exit(f"error: seeds must be at least 2, to know their spread, not {options.seeds}")
    cache_compilations()
    lines = ["| variant | epoch | metric | cnn3 | PyTorch | difference | p |", "|---|---:|---|---:|---:|---:|---:|"]
    for variant in options.variants:
        seeds = range(SEED, SEED + options.seeds)
        lines += rows(
            variant,
            [own(options, variant, seed) for seed in seeds],
            [pytorch(options, variant, seed) for seed in seeds],
        )
    table = "\n".join(lines)
    print(table)
    files.write(options.output / "table.md", table + "\n")


if __name__ == "__main__":
    main()
