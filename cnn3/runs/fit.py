"""`fit`: a run from its configuration to its results, resumable."""

import logging
import math
from pathlib import Path

import optax

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.data.dataset import Dataset
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.runs import loop
from cnn3.runs.folder import open_run
from cnn3.runs.initial_weights import check_init, digest_weights
from cnn3.runs.locks import run_lock
from cnn3.runs.metadata import write_metadata
from cnn3.runs.progress import ProgressReporter, progress_reporter
from cnn3.runs.result import EpochHook, Result, load_run_weights
from cnn3.runs.reuse import Reuse, read_finished, reuse_or_clear
from cnn3.runs.versions import MACHINE, SETTINGS, code_mismatch, run_versions, settings_mismatch
from cnn3.training.optim import UPDATE_RULES
from cnn3.training.schedule import is_constant, warmup_steps
from cnn3.training.state import Weights, make_train_spec

log = logging.getLogger(__name__)


def check_run(config: RunConfig, dataset: Dataset) -> None:
    """Make sure that a run is possible on a data set.

    Raises:
        ConfigError: it is not, or not with JAX's settings.
    """
    check_jax()
    count, classes = len(dataset.train.labels), len(dataset.classes)
    if classes != config.model.classes:
        raise ConfigError(f"model.classes is {config.model.classes}, but the data set has {classes} classes")
    if dataset.name != config.dataset:
        raise ConfigError(f"dataset is {config.dataset!r} in the configuration, but {dataset.name!r} was given")
    if config.limit is not None and config.limit != count:
        raise ConfigError(f"limit is {config.limit} in the configuration, but {count} training images were given")
    count = count_training_images(config, dataset)
    if config.batch_size > count:
        raise ConfigError(f"batch_size must be at most {count}, the number of training images, not {config.batch_size}")
    steps = config.epochs * math.ceil(count / config.batch_size)
    if config.schedule.name != "constant" and warmup_steps(config.schedule, steps) >= steps:
        raise ConfigError(
            f"schedule.warmup must leave at least one of the {steps} steps, which {config.schedule.warmup} does not"
        )
    passes = {"training": count}
    if config.protocol.validate_in_training_mode:
        passes["validation"] = len(dataset.validation.labels)
    for name, images in passes.items():
        if config.model.batch_norm and images % config.batch_size == 1:
            raise ConfigError(
                f"batch_size {config.batch_size} leaves one image for the last batch of {images} {name} images, "
                "and batch norm needs two; choose another"
            )


def count_training_images(config: RunConfig, dataset: Dataset) -> int:
    """Return the number of images that a run trains on."""
    return len(dataset.train.labels) + (0 if config.hold_out else len(dataset.validation.labels))


def _check_own_optimizer(config: RunConfig) -> None:
    if config.optimizer.name in UPDATE_RULES:
        raise ConfigError(f"optimizer.name must be a name for your own optimizer, not {config.optimizer.name}")
    if not is_constant(config.schedule):
        raise ConfigError("schedule must be constant: your own optimizer has its learning rates")


def fit(
    config: RunConfig,
    dataset: Dataset,
    folder: str | Path | None = None,
    *,
    label: str | None = None,
    wait: bool = True,
    reuse: Reuse = "same-code",
    reporter: ProgressReporter = progress_reporter,
    optimizer: optax.GradientTransformation | None = None,
    on_epoch: EpochHook | None = None,
    init: Weights | None = None,
) -> Result:
    """Train, stop early, and measure the best epoch's weights once on the test set.

    Args:
        config: what to run.
        dataset: what to run it on.
        folder: where to keep the run: a finished run is reused, an interrupted one resumed, a damaged one trained
            again. None keeps everything in memory.
        label: the run's name in the progress display; None shows nothing.
        wait: whether to wait while another process trains the run in the folder.
        reuse: "same-code" trains a run again that other code has finished, and keeps the old files in a folder next to
            it; "any-version" reuses it.
        reporter: the progress display.
        optimizer: one of your own, in place of the update rule, learning rate, schedule and weight decay of the
            configuration. The run is known by `config.optimizer.name`, which must not be that of another.
        on_epoch: called with a copy of each epoch's record, as in `Result.history`, once the epoch is in the folder.
            What it raises ends the training. It is not called for epochs that were trained before.
        init: weights to start from, instead of those that the seed draws. They are not in the configuration, so give
            such a run a folder of its own; a folder whose run started from other weights is refused.

    Raises:
        ConfigError: there is no such optimizer, the data set does not fit the configuration, or JAX is set as cnn3
            cannot use it.
        WeightsError: `init` does not fit the network, or a finished run has no weights any more.
        OutputError: the folder cannot be read or written, or holds another run, one of other data or from other
            initial weights, or one that was started by other code or with other versions or settings.
        BusyError: another process trains the run, and `wait` is false.
    """
    check_run(config, dataset)
    if optimizer is not None:
        _check_own_optimizer(config)
    images = dataset if config.hold_out else dataset.without_hold_out()
    spec = make_train_spec(config, default_block(config.precision), optimizer)
    init = None if init is None else check_init(spec.model, init)
    if folder is None:
        return loop.train(config, spec, images, None, label, reporter, on_epoch, init)
    digest = None if init is None else digest_weights(init)
    path, versions = Path(folder), run_versions(config, dataset, digest)
    outcome = read_finished(config, path, reuse, dataset.digest, digest)
    if outcome is None:
        with run_lock(files.make_folder(path, "--output or --runs"), wait):
            outcome = reuse_or_clear(config, path, versions, reuse)  # another process may have trained it meanwhile
            if outcome is None:
                write_metadata(path, config, versions)
                with open_run(path, versions) as opened:
                    return loop.train(config, spec, images, opened, label, reporter, on_epoch, init)
    mismatches = (
        code_mismatch(outcome.versions, versions),
        settings_mismatch(outcome.versions, versions, SETTINGS + MACHINE),
    )
    if any(mismatches):
        log.warning("%s was made with %s; it is reused", path, " and ".join(filter(None, mismatches)))
    weights = load_run_weights(config, spec.model, path, outcome.history)
    return Result(config, outcome.history, outcome.summary, weights)
