"""Training speed, augmentation and optimizer included, of cnn3 beside a PyTorch program, in interleaved rounds.

python -m benchmarks.throughput --data-dir DIR --pytorch pytorch_program.py

The PyTorch program is run as `PROGRAM --data-dir DIR --bn 0|1 --batch-size N --steps S` and has to print one JSON
object an epoch with `train.images_per_second` in it, its first step left out. cnn3 is timed in whole epochs on the
first images of the training set, compilation left out. The table gives medians of the rounds and their ratio.
"""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

from cnn3 import VARIANTS, RunConfig, default_block, load
from cnn3.data import Split
from cnn3.optim import Hyperparameters, hyperparameters
from cnn3.train import Program, compile_epoch, init_state, make_program


@dataclass(frozen=True)
class Options:
    """What is timed.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pytorch: the PyTorch program.
        variant: baseline or batch_norm.
        batch_size: images a step.
        rounds: times each program is timed.
        steps: steps of each timing.
    """

    data_dir: Path
    pytorch: Path
    variant: str = "batch_norm"
    batch_size: int = 128
    rounds: int = 5
    steps: int = 20


def cnn3_rate(program: Program, data: Split, hyper: Hyperparameters) -> float:
    """Return images per second of one epoch over `data`, which is on the device."""
    seed = jax.device_put(np.int32(0))
    state = init_state(program, hyper, seed)
    run = compile_epoch(program, len(data.labels))
    jax.block_until_ready(state)
    start = time.perf_counter()
    jax.block_until_ready(run(state, hyper, *data, seed, seed))
    return len(data.labels) / (time.perf_counter() - start)


def pytorch_rate(options: Options) -> float:
    """Return images per second as the PyTorch program measures itself."""
    settings = {
        "--data-dir": options.data_dir,
        "--bn": int(VARIANTS[options.variant].batch_norm),
        "--batch-size": options.batch_size,
        "--steps": options.steps,
    }
    command = [sys.executable, str(options.pytorch), *(str(part) for pair in settings.items() for part in pair)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])["train"]["images_per_second"]


def main() -> None:
    """Time both and print the table."""
    options = tyro.cli(Options, description=__doc__)
    config = RunConfig(VARIANTS[options.variant], batch_size=options.batch_size)
    program = make_program(config, default_block())
    dataset = load("cifar10", options.data_dir, limit=options.batch_size * options.steps)
    data = jax.device_put(dataset.train)
    hyper = jax.device_put(jax.tree.map(np.float32, hyperparameters(config.optimizer)))
    cnn3_rate(program, data, hyper)  # warms up
    rates: dict[str, list[float]] = {"cnn3": [], "pytorch": []}
    for _ in range(options.rounds):
        rates["cnn3"].append(cnn3_rate(program, data, hyper))
        rates["pytorch"].append(pytorch_rate(options))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print("| variant | batch size | cnn3, images/s | PyTorch, images/s | ratio |\n|---|---|---|---|---|")
    print(
        f"| {options.variant} | {options.batch_size} | {medians['cnn3']:.0f} | {medians['pytorch']:.0f} "
        f"| {medians['cnn3'] / medians['pytorch']:.2f} |"
    )
    print(json.dumps(rates), file=sys.stderr)


if __name__ == "__main__":
    main()
