"""Do the kernels made for CPUs cost accuracy? The same runs with them and with XLA's own convolution.

python -m benchmarks.kernels_agree --data-dir DIR

Trains the study's default run with batch norm once with each kernel, from the same weights on the same images in the
same order. Prints the validation accuracy after each epoch, and the mean difference over the seeds. XLA's convolution
is slow inside a loop on CPUs, so its steps are called one by one. Finished runs of the same code are reused.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from cnn3 import VARIANTS, Dataset, RunConfig, files, load
from cnn3.config import SEED
from cnn3.data.dataset import Split
from cnn3.nn.layers import BLOCKS
from cnn3.runs.compilation import cache_compilations
from cnn3.runs.fingerprint import code_fingerprint
from cnn3.training.evaluate import predict
from cnn3.training.optim import Hyperparameters, hyperparameters
from cnn3.training.state import COMPILER_OPTIONS, TrainSpec, TrainState, Weights, init_state, make_train_spec
from cnn3.training.step import train_step

STEP = jax.jit(train_step, static_argnums=0, donate_argnums=1, compiler_options=COMPILER_OPTIONS)
EVALUATION_BATCH = 250


@dataclass(frozen=True)
class Options:
    """Options of the comparison.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        epochs: of each run.
        seeds: runs with each kernel.
        limit: train on the first N training images only.
        output: folder for finished runs.
    """

    data_dir: Path
    epochs: int = 3
    seeds: int = 3
    limit: int = 15_000
    output: Path = Path("results/kernels_agree")


def accuracies(options: Options, kernel: str, seed: int) -> list[float]:
    """Return the validation accuracy after each epoch; a finished run of the same code is read from its file."""
    name = f"{kernel}-{options.limit}-{options.epochs}-{seed}-{code_fingerprint()[:8]}.json"
    path = files.make_folder(options.output) / name
    if path.exists():
        return json.loads(path.read_text())
    config = RunConfig(VARIANTS["batch_norm"], limit=options.limit, epochs=options.epochs, seed=seed)
    dataset = load("cifar10", options.data_dir, seed=seed, limit=options.limit)
    values = list(
        validation_accuracies(config, make_train_spec(config, BLOCKS[kernel]), dataset, f"{kernel}, seed {seed}")
    )
    files.write(path, json.dumps(values))
    return values


def validation_accuracies(config: RunConfig, spec: TrainSpec, dataset: Dataset, label: str) -> Iterator[float]:
    """Train, and yield the validation accuracy after each epoch."""
    hyper = jax.tree.map(jnp.float32, hyperparameters(config))
    state = init_state(spec, jnp.int32(config.seed))
    for epoch in range(config.epochs):
        state = train_epoch_by_steps(spec, state, hyper, dataset.train, config.seed, epoch)
        accuracy = validation_accuracy(spec, state.weights, dataset)
        print(f"{label}, epoch {epoch + 1}: validation accuracy {accuracy:.4f}", flush=True)
        yield accuracy


def train_epoch_by_steps(
    spec: TrainSpec, state: TrainState, hyper: Hyperparameters, train: Split, seed: int, epoch: int
) -> TrainState:
    """Train on every image once, in the order and with the random numbers of `train_epoch`, and return the state."""
    key = jax.random.fold_in(jax.random.key(seed), epoch)
    order_key, steps_key = jax.random.split(key)
    count, size = len(train.labels), spec.batch_size
    order = np.asarray(jax.random.permutation(order_key, count))
    for index in range(-(-count // size)):
        positions = index * size + np.arange(size)
        batch = order[np.minimum(positions, count - 1)]
        images, labels = train.images[batch], train.labels[batch]
        state, _ = STEP(
            spec, state, hyper, images, labels, jax.random.fold_in(steps_key, index), index, positions < count
        )
    return state


def validation_accuracy(spec: TrainSpec, weights: Weights, dataset: Dataset) -> float:
    """Return the accuracy on the validation images."""
    fast = spec.model.clone(block=BLOCKS["winograd"])  # evaluation is not what is compared
    logits = predict(fast, EVALUATION_BATCH, weights, dataset.validation.images).logits
    return float(np.mean(np.asarray(logits).argmax(1) == dataset.validation.labels))


def rows(fast: Sequence[Sequence[float]], plain: Sequence[Sequence[float]]) -> Iterator[str]:
    """Yield a line for each epoch: the accuracy of each seed with each kernel, and the mean difference."""
    for epoch, (a, b) in enumerate(zip(zip(*fast, strict=True), zip(*plain, strict=True), strict=True), 1):
        cells = [" ".join(f"{value:.4f}" for value in values) for values in (a, b)]
        points = 100 * (statistics.fmean(a) - statistics.fmean(b))
        yield f"| {epoch} | {' | '.join(cells)} | {points:+.2f} |"


def main() -> None:
    """Train the missing runs, and print the table."""
    options = tyro.cli(Options, description=__doc__)
    cache_compilations()
    seeds = range(SEED, SEED + options.seeds)
    fast, plain = ([accuracies(options, kernel, seed) for seed in seeds] for kernel in ("winograd", "plain"))
    lines = ["| epoch | winograd | plain | mean difference, points |", "|---:|---|---|---:|", *rows(fast, plain)]
    table = "\n".join(lines)
    print(table)
    files.write(options.output / "table.md", table + "\n")


if __name__ == "__main__":
    main()
