"""cnn3 as a program to time or trace: its compiled epoch and evaluation, with the data on the device."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.job import Job, Ready, process_memory, splits
from cnn3 import VARIANTS, RunConfig, Split, default_block
from cnn3.runs.compilation import compile_epoch
from cnn3.training.evaluate import evaluate
from cnn3.training.optim import hyperparameters
from cnn3.training.state import init_state, make_train_spec
from cnn3.training.step import MetricSums


class Program(NamedTuple):
    """A compiled epoch, the seconds of compiling it, and both passes over the images, which wait for the device."""

    seconds: float
    epoch: jax.stages.Compiled
    train: Callable[[], MetricSums]
    evaluate: Callable[[], MetricSums]


def compile_program(config: RunConfig, train: Split, test: Split) -> Program:
    """Compile the epoch, and put images and initial weights on the device."""
    spec = make_train_spec(config, default_block(config.precision))
    train, test = jax.device_put((train, test))
    hyper = jax.device_put(jax.tree.map(np.float32, hyperparameters(config)))
    seed = jax.device_put(np.int32(config.seed))
    start = time.perf_counter()
    epoch = compile_epoch(spec, len(train.labels))
    seconds = time.perf_counter() - start
    states = [init_state(spec, seed)]

    def train_epoch() -> MetricSums:
        states[0], sums = epoch(states[0], hyper, *train, seed, seed)
        return jax.block_until_ready(sums)

    def evaluate_test() -> MetricSums:
        sums = evaluate(spec.model, config.batch_size, states[0].weights, *test, len(test.labels))
        return jax.block_until_ready(sums)

    return Program(seconds, epoch, train_epoch, evaluate_test)


def prepare(job: Job) -> Ready:
    """Compile cnn3's epoch and evaluation for a job, and run both once."""
    config = RunConfig(VARIANTS[job.variant], batch_size=job.batch_size, precision=job.precision)
    train, test = splits(job)
    program = compile_program(config, train, test)
    work = {
        "train": lambda: _rate(program.train, len(train.labels)),
        "evaluate": lambda: _rate(program.evaluate, len(test.labels)),
    }
    for warm_up in work.values():
        warm_up()
    return Ready(program.seconds, work, peak_memory, _program_memory(program.epoch))


def peak_memory() -> int:
    """Return the peak memory in bytes: of the device if JAX counts it, else of the process."""
    stats: dict[str, Any] | None = jax.local_devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] if stats else process_memory()


def _program_memory(epoch: jax.stages.Compiled) -> int | None:
    """Return the bytes of an epoch's arguments, results and temporaries, each counted once."""
    sizes: Any = epoch.memory_analysis()
    if sizes is None:
        return None
    arguments_and_results = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return arguments_and_results + sizes.temp_size_in_bytes


def _rate(run: Callable[[], MetricSums], images: int) -> float:
    start = time.perf_counter()
    sums = run()
    seconds = time.perf_counter() - start
    if not np.isfinite(sums.loss):
        raise FloatingPointError(f"the loss is {sums.loss}")
    return images / seconds
