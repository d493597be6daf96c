"""A run's compiled programs, cached on disk so that only the first run on a machine waits for the compiler."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec

import jax
import jax.numpy as jnp
from filelock import FileLock, Timeout
from jaxlib.utils import absl_set_min_log_level
from platformdirs import user_cache_path

from cnn3.config import RunConfig
from cnn3.nn.network import CNN3
from cnn3.training.evaluate import EVALUATION_BATCH, evaluate, evaluate_in_training_mode
from cnn3.training.optim import Hyperparameters
from cnn3.training.state import (
    HYPERPARAMETER_SHAPES,
    INT32_SCALAR,
    TrainSpec,
    hyperparameter_shapes,
    state_shapes,
    weight_shapes,
    without_dropout_rate,
)
from cnn3.training.step import train_epoch

MAX_CACHE_BYTES = 2**30  # what was used least recently is removed first
PROGRAM, LAST_USE, JAX_LOCK = "-cache", "-atime", ".lockfile"  # how JAX names the cache's files
JAX_LOCK_TIMEOUT = 10.0  # seconds; JAX waits as long for its lock
MIN_COMPILE_SECONDS = 0.1  # programs that compile more quickly are not cached
MAX_PROGRAMS = 32  # kept in memory, of each kind; those of optimizers of one's own are never asked for again
JAX_LOG_LEVEL, FATAL = "1", 3  # of XLA's log: what JAX sets unless the user does, and that of fatal errors

Program = ParamSpec("Program")


class Executables(NamedTuple):
    """A run's compiled programs; they take all arguments but the static ones."""

    train_epoch: jax.stages.Compiled
    validate: jax.stages.Compiled
    test: jax.stages.Compiled


def cache_compilations() -> None:
    """Cache what is compiled from now on in the user's cache folder.

    JAX's own settings take precedence: `JAX_COMPILATION_CACHE_DIR` names another folder, and
    `JAX_ENABLE_COMPILATION_CACHE=false` turns the cache off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        folder = user_cache_path("cnn3") / "compiled"
        _remove_orphans(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MAX_CACHE_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == JAX_LOG_LEVEL:
        # XLA warns of another CPU for each program from the cache: it takes a preference of this CPU for a feature that
        # is missing (openxla/xla#44565). JAX keeps each CPU's programs apart, and raises XLA's errors.
        absl_set_min_log_level(FATAL)


def _remove_orphans(folder: Path) -> None:
    """Remove programs without the time of their last use, left by a process that was killed between writing the two.

    If JAX finds one, it caches no others (jax-ml/jax#39880).
    """
    orphans = (path for path in folder.glob(f"*{PROGRAM}") if not _last_use(path).exists())
    if next(orphans, None) is None:
        return
    with suppress(OSError, Timeout), FileLock(folder / JAX_LOCK, timeout=JAX_LOCK_TIMEOUT):
        for path in folder.glob(f"*{PROGRAM}"):
            if not _last_use(path).exists():
                path.unlink()


def _last_use(program: Path) -> Path:
    return program.with_name(program.name.removesuffix(PROGRAM) + LAST_USE)


def compile_run(
    config: RunConfig, spec: TrainSpec, train_size: int, validation_size: int, eval_size: int
) -> Executables:
    """Compile what a run needs, or reuse what was compiled before.

    Compiling ahead keeps it out of the first epoch's time, and makes another shape an error instead of a wait.

    Args:
        config: of the run.
        spec: of the run.
        train_size: number of training images.
        validation_size: number of validation images, for validation in training mode.
        eval_size: number of images, padding included, for all other evaluation.
    """
    model, protocol = without_dropout_rate(spec.model), config.protocol
    test = _lower_evaluation(model, EVALUATION_BATCH, eval_size)  # type: ignore[arg-type]
    if protocol.validate_in_training_mode:
        validate = _lower_evaluation_in_training_mode(spec.model, config.batch_size, validation_size)  # type: ignore[arg-type]
    elif protocol.mean_of_batch_means:
        validate = _lower_evaluation(model, config.batch_size, eval_size)  # type: ignore[arg-type]
    else:
        validate = test  # it does not matter which images share a batch
    hyper = hyperparameter_shapes(config, -(-train_size // config.batch_size))
    with ThreadPoolExecutor(1) as thread:  # XLA compiles these in it while Python traces the epoch
        others = [thread.submit(lowered.compile) for lowered in (validate, test)]
        return Executables(compile_epoch(spec, train_size, hyper), *(compiled.result() for compiled in others))


def compile_epoch(spec: TrainSpec, count: int, hyper: Hyperparameters = HYPERPARAMETER_SHAPES) -> jax.stages.Compiled:
    """Return `train_epoch` compiled for `count` images; it takes all arguments but `spec`.

    `hyper` has the shapes and types of the run's numbers, by default those of the original study's runs.
    """
    return _lower_epoch(spec._replace(model=without_dropout_rate(spec.model)), hyper, count).compile()


def _once(lower: Callable[Program, jax.stages.Lowered]) -> Callable[Program, jax.stages.Lowered]:
    """Lower a program once, and so compile it once, for each value of JAX's settings that change it."""

    @lru_cache(MAX_PROGRAMS)
    def with_settings(_: tuple[Any, ...], *args: Program.args, **kwargs: Program.kwargs) -> jax.stages.Lowered:
        return lower(*args, **kwargs)

    return lambda *args, **kwargs: with_settings(
        (jax.config.values["jax_default_matmul_precision"], jax.config.values["jax_default_device"]), *args, **kwargs
    )


@_once
def _lower_epoch(spec: TrainSpec, hyper: Hyperparameters, count: int) -> jax.stages.Lowered:
    return train_epoch.lower(spec, state_shapes(spec), hyper, *_split_shapes(count), INT32_SCALAR, INT32_SCALAR)


@_once
def _lower_evaluation(model: CNN3, batch_size: int, count: int) -> jax.stages.Lowered:
    return evaluate.lower(model, batch_size, weight_shapes(model), *_split_shapes(count), INT32_SCALAR)


@_once
def _lower_evaluation_in_training_mode(model: CNN3, batch_size: int, count: int) -> jax.stages.Lowered:
    return evaluate_in_training_mode.lower(
        model, batch_size, weight_shapes(model), *_split_shapes(count), INT32_SCALAR, INT32_SCALAR
    )


def _split_shapes(count: int) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    return jax.ShapeDtypeStruct((count, 32, 32, 3), jnp.uint8), jax.ShapeDtypeStruct((count,), jnp.int32)
