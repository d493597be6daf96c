"""A run's compiled programs, kept on disk so that only the first run on a machine waits for the compiler."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from filelock import FileLock, Timeout
from jaxlib.utils import absl_set_min_log_level
from platformdirs import user_cache_path

from cnn3.config import RunConfig
from cnn3.nn.network import CNN3
from cnn3.training.evaluate import EVALUATION_BATCH, evaluate, evaluate_in_training_mode
from cnn3.training.state import (
    HYPERPARAMETER_SHAPES,
    INT32_SCALAR,
    TrainSpec,
    state_shapes,
    weight_shapes,
    without_dropout_rate,
)
from cnn3.training.step import train_epoch

MOST_BYTES = 2**30  # of the folder; what was used least recently goes first
PROGRAM, LAST_USE, JAXS_LOCK = "-cache", "-atime", ".lockfile"  # how JAX names the folder's files
JAXS_PATIENCE = 10.0  # seconds that JAX, too, waits for its lock
MIN_COMPILE_SECONDS = 0.1  # seconds; a program quicker to compile is not kept
JAXS_LOG_LEVEL, FATAL = "1", 3  # of XLA's own log: what JAX sets if the user does not, and that of what ends a process


class Executables(NamedTuple):
    """A run's programs: `train_epoch`, what validates, and `evaluate`, each without its static arguments."""

    train_epoch: jax.stages.Compiled
    validate: jax.stages.Compiled
    test: jax.stages.Compiled


def cache_compilations() -> None:
    """Keep what is compiled from now on in the user's cache folder, and take it from there.

    JAX's own settings go first: `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` turns the cache off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = user_cache_path("cnn3") / "compiled"
        _remove_orphans(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == JAXS_LOG_LEVEL:
        # For each program from the cache XLA warns of another CPU: it takes a preference of this one for a feature that
        # is missing (openxla/xla#44565). JAX gives each CPU programs of its own, and raises what XLA fails at.
        absl_set_min_log_level(FATAL)


def _remove_orphans(folder: Path) -> None:
    """Remove the programs that lack the time of their last use, as of a process that was killed between writing both.

    Where JAX finds one, it keeps no other (jax-ml/jax#39880).
    """
    orphans = (path for path in folder.glob(f"*{PROGRAM}") if not _time_of(path).exists())
    if next(orphans, None) is None:
        return
    with suppress(OSError, Timeout), FileLock(folder / JAXS_LOCK, timeout=JAXS_PATIENCE):
        for path in folder.glob(f"*{PROGRAM}"):
            if not _time_of(path).exists():
                path.unlink()


def _time_of(spec: Path) -> Path:
    return spec.with_name(spec.name.removesuffix(PROGRAM) + LAST_USE)


def compile_run(config: RunConfig, spec: TrainSpec, train: int, validation: int, evaluated: int) -> Executables:
    """Compile what a run needs; what was compiled before is taken as it is.

    Compiling apart keeps it out of the first epoch's time, and makes another shape an error instead of a wait.

    Args:
        config: of the run.
        spec: of the run.
        train: number of training images.
        validation: number of validation images, which validation in training mode takes in arrays of that size.
        evaluated: size of the arrays for all other evaluation.
    """
    model, protocol = without_dropout_rate(spec.model), config.protocol
    test = _lower_evaluation(model, EVALUATION_BATCH, evaluated)  # type: ignore[arg-type]
    if protocol.validate_in_training_mode:
        validate = _lower_evaluation_in_training_mode(spec.model, config.batch_size, validation)  # type: ignore[arg-type]
    elif protocol.mean_of_batch_means:
        validate = _lower_evaluation(model, config.batch_size, evaluated)  # type: ignore[arg-type]
    else:
        validate = test  # it is all the same which images share a batch
    with ThreadPoolExecutor(1) as thread:  # XLA compiles these there while Python traces the epoch here
        others = [thread.submit(lowered.compile) for lowered in (validate, test)]
        return Executables(compile_epoch(spec, train), *(compiled.result() for compiled in others))


def compile_epoch(spec: TrainSpec, count: int) -> jax.stages.Compiled:
    """Return `train_epoch` compiled for `count` images; it takes all arguments but the program."""
    return _lower_epoch(spec._replace(model=without_dropout_rate(spec.model)), count).compile()


@cache  # what is lowered once is compiled once
def _lower_epoch(spec: TrainSpec, count: int) -> jax.stages.Lowered:
    return train_epoch.lower(
        spec, state_shapes(spec), HYPERPARAMETER_SHAPES, *_split(count), INT32_SCALAR, INT32_SCALAR
    )


@cache
def _lower_evaluation(model: CNN3, batch_size: int, count: int) -> jax.stages.Lowered:
    return evaluate.lower(model, batch_size, weight_shapes(model), *_split(count), INT32_SCALAR)


@cache
def _lower_evaluation_in_training_mode(model: CNN3, batch_size: int, count: int) -> jax.stages.Lowered:
    return evaluate_in_training_mode.lower(
        model, batch_size, weight_shapes(model), *_split(count), INT32_SCALAR, INT32_SCALAR
    )


def _split(count: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    return jax.ShapeDtypeStruct((count, 32, 32, 3), jnp.uint8), jax.ShapeDtypeStruct((count,), jnp.int32)
