"""`fit`: a run from its configuration to its outcome, resumable."""

import logging
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn3 import files
from cnn3.config import ConfigError, RunConfig
from cnn3.data.dataset import Dataset
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.runs.checkpoint import RunFolder, open_run
from cnn3.runs.compilation import Executables, compile_run
from cnn3.runs.device import DeviceArrays, eval_size, pad_split, to_device
from cnn3.runs.locks import run_lock
from cnn3.runs.memory import check_memory, temporaries
from cnn3.runs.metadata import BEST, INITIAL, WEIGHTS, write_metadata
from cnn3.runs.progress import ProgressReporter, reporter
from cnn3.runs.reuse import Reuse, finished, make_room
from cnn3.runs.step_watcher import Steps, watched
from cnn3.runs.versions import MACHINE, SETTINGS, code_mismatch, make_record, settings_mismatch
from cnn3.training.evaluate import EVALUATION_BATCH
from cnn3.training.metrics import NO_DIVERGENCE, Metrics, MetricSums, best_epoch, compute_metrics, out_of_patience
from cnn3.training.state import TrainSpec, TrainState, Weights, init_state, make_train_spec
from cnn3.weights.weight_files import load_weights, save_weights

# The least time between two checkpoints. On a GPU an epoch may take half a second, and a checkpoint as long.
CHECKPOINT_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run leaves.

    Args:
        config: what was run.
        history: a record an epoch: `epoch`, `train` and `validation` with `loss` and `accuracy`, `seconds`,
            `images_per_second`.
        summary: `epochs`, `best_epoch`, the `train` and `validation` metrics of the best epoch, the `test` metrics of
            its weights, `images_per_second`, `stopped` ("epochs", "patience" or "diverged") and `diverged` (None, or
            the epoch, the pass and the step).
        weights: those before training ("initial"), after each epoch of `config.snapshots` ("epoch20"; as far as the run
            came) and of the best epoch ("best", if one ended).
    """

    config: RunConfig
    history: list[dict[str, Any]]
    summary: dict[str, Any]
    weights: dict[str, Weights]


class Diverged(NamedTuple):
    """Where a loss was first not finite."""

    epoch: int
    during: str
    step: int


def check(config: RunConfig, dataset: Dataset) -> None:
    """Make sure that a run can be done on a data set.

    Raises:
        ConfigError: it cannot, or not with JAX's settings.
    """
    check_jax()
    count = len(dataset.train.labels)
    if dataset.name != config.dataset:
        raise ConfigError(f"dataset is {config.dataset!r} in the configuration, but {dataset.name!r} was given")
    if config.limit is not None and config.limit != count:
        raise ConfigError(f"limit is {config.limit} in the configuration, but {count} training images were given")
    if config.batch_size > count:
        raise ConfigError(f"batch_size must be at most {count}, the number of training images, not {config.batch_size}")
    passes = {"training": count}
    if config.protocol.validate_in_training_mode:
        passes["validation"] = len(dataset.validation.labels)
    for name, images in passes.items():
        if config.model.batch_norm and images % config.batch_size == 1:
            raise ConfigError(
                f"batch_size {config.batch_size} leaves one image for the last batch of {images} {name} images, "
                "and batch norm needs two; choose another"
            )


def fit(
    config: RunConfig,
    dataset: Dataset,
    folder: str | Path | None = None,
    *,
    label: str | None = None,
    wait: bool = True,
    reuse: Reuse = "same-code",
    reporter: ProgressReporter = reporter,
) -> Result:
    """Train, stop early, and measure the best epoch's weights once on the test set.

    Args:
        config: what to run.
        dataset: what to run it on.
        folder: where to keep the run; what was cut off there goes on, what is done there is only read, what is damaged
            there is done anew. None keeps everything in memory.
        label: what the progress display calls the run; None shows nothing.
        wait: whether to wait while another process trains the run in the folder.
        reuse: "same-code" trains a run again that other code has finished, whose files are kept beside the folder;
            "any-version" takes it as it is.
        reporter: the progress display.

    Raises:
        ConfigError: the data set does not fit the configuration, or JAX's settings do not fit cnn3.
        OutputError: the folder cannot be read or written, holds another run, one of other data, or one that was begun
            by other code or with other versions or settings.
        BusyError: another process trains the run and is not waited for.
    """
    check(config, dataset)
    spec = make_train_spec(config, default_block(config.precision))
    if folder is None:
        return _run(config, spec, dataset, None, label, reporter)
    path, record = Path(folder), make_record(config, dataset)
    outcome = finished(config, path, reuse, dataset.digest)
    if outcome is None:
        with run_lock(files.make_folder(path, "--output or --runs"), wait):
            outcome = make_room(config, path, record, reuse)  # another process may have trained it meanwhile
            if outcome is None:
                write_metadata(path, config, record)
                with open_run(path, record) as opened:
                    return _run(config, spec, dataset, opened, label, reporter)
    others = code_mismatch(outcome.record, record), settings_mismatch(outcome.record, record, SETTINGS + MACHINE)
    if any(others):
        log.warning("%s was made with %s; it is used as it is", path, " and ".join(filter(None, others)))
    return Result(config, outcome.history, outcome.summary, _load(config, spec, path, outcome.history))


def snapshot_name(epoch: int) -> str:
    """Return what the weights after the epoch of this index are called."""
    return f"epoch{epoch}"


def _kept(config: RunConfig, history: list[dict[str, Any]]) -> list[int]:
    """Return the epochs of a history whose weights are kept as snapshots.

    The one that ends the run for want of patience is not among them: the report's program stops before it keeps any.
    """
    last = len(history) - (_stopped(config, history) == "patience")
    return [epoch for epoch in config.snapshots if epoch < last]


def weight_names(config: RunConfig, history: list[dict[str, Any]]) -> list[str]:
    """Return the names, in the order of training and the best last, of the weights that a run with this history has."""
    return [INITIAL, *map(snapshot_name, _kept(config, history)), *([BEST] if history else [])]


def _load(config: RunConfig, spec: TrainSpec, path: Path, history: list[dict[str, Any]]) -> dict[str, Weights]:
    """Return the weights that a run with this history has left in its folder."""
    names = weight_names(config, history)
    return {name: load_weights(path / f"{name}{WEIGHTS}", spec.model) for name in names}


def _run(
    config: RunConfig,
    spec: TrainSpec,
    dataset: Dataset,
    folder: RunFolder | None,
    label: str | None,
    show: ProgressReporter,
) -> Result:
    """Train from where the folder stands to the end, and write the outcome."""
    device = to_device(config, dataset)
    state = init_state(spec, device.seed)
    history: list[dict[str, Any]] = []
    weights: dict[str, Weights] = {}

    def keep(name: str, state: TrainState) -> None:
        weights[name] = jax.tree.map(np.array, state.weights)  # a copy: the next epoch takes the state's memory
        if folder is not None:
            path = folder.path / f"{name}{WEIGHTS}"
            save_weights(path, spec.model, weights[name], dataset.classes)

    saved = folder.restore(state) if folder is not None else None
    if saved is not None and folder is not None:
        restored, history = saved
        state = jax.tree.map(jnp.copy, restored)  # into memory of XLA's own: only there can an epoch work in place
        weights = _load(config, spec, folder.path, history)
    else:
        keep(INITIAL, state)

    diverged = None
    with ExitStack() as stack:
        report = stack.enter_context(show(label, len(history), config.epochs)) if label else None
        counts = len(dataset.train.labels), len(dataset.validation.labels), eval_size(dataset)
        compiled = compile_run(config, spec, *counts)
        steps = report.steps if report and jax.default_backend() == "cpu" else None  # elsewhere an epoch is short
        check_memory(temporaries(compiled.train_epoch), config.batch_size)
        due = time.perf_counter()
        while not diverged and not _stopped(config, history):
            epoch = len(history)
            state, record, diverged = _epoch(config, compiled, state, device, steps, epoch)
            if diverged:
                break
            history.append(record)
            if best_epoch(_accuracies(history)) == epoch:
                keep(BEST, state)
            if epoch in _kept(config, history):
                keep(snapshot_name(epoch), state)
            if folder is not None:
                folder.write_history(history)
                if time.perf_counter() >= due or _stopped(config, history):
                    folder.save(state, history, map(snapshot_name, _kept(config, history)))
                    due = time.perf_counter() + CHECKPOINT_SECONDS
            if report is not None:
                report.epoch(record)
    test = _test(config, compiled, dataset, weights[BEST]) if history else None
    summary = _summarise(config, history, test, diverged)
    if folder is not None:
        folder.finish(summary, weight_names(config, history))
    return Result(config, history, summary, weights)


def _accuracies(history: list[dict[str, Any]]) -> list[float]:
    return [record["validation"]["accuracy"] for record in history]


def _stopped(config: RunConfig, history: list[dict[str, Any]]) -> str | None:
    """Return why a run with this history ends, or None if it goes on."""
    if out_of_patience(_accuracies(history), config.patience):
        return "patience"
    return "epochs" if len(history) >= config.epochs else None


def _epoch(
    config: RunConfig, compiled: Executables, state: TrainState, device: DeviceArrays, steps: Steps | None, epoch: int
) -> tuple[TrainState, dict[str, Any], Diverged | None]:
    """Train and validate one epoch, and tell `steps` of its own; the state given is used up."""
    count = len(device.train.labels)
    index = jax.device_put(np.int32(epoch))
    start = time.perf_counter()
    with watched(state, -(-count // config.batch_size), steps):
        ended = compiled.train_epoch(state, device.hyper, *device.train, device.seed, index)
        state, train = jax.block_until_ready(ended)
    trained = time.perf_counter()
    state, validation = _validate(config, compiled, state, device, index)
    record = {
        "epoch": epoch,
        "train": compute_metrics(train, count, config.batch_size, config.protocol)._asdict(),
        "validation": compute_metrics(
            validation, int(device.validation_count), config.batch_size, config.protocol
        )._asdict(),
        "seconds": time.perf_counter() - start,
        "images_per_second": count / (trained - start),
    }
    first = {"training": int(train.diverged_at), "validation": int(validation.diverged_at)}
    diverged = [Diverged(epoch, during, step) for during, step in first.items() if step != NO_DIVERGENCE]
    return state, record, diverged[0] if diverged else None


def _validate(
    config: RunConfig, compiled: Executables, state: TrainState, device: DeviceArrays, epoch: jax.Array
) -> tuple[TrainState, MetricSums]:
    """Return the validation metrics, and the state, which the report's protocol moves in validation."""
    if not config.protocol.validate_in_training_mode:
        return state, compiled.validate(state.weights, *device.validation, device.validation_count)
    weights, sums = compiled.validate(state.weights, *device.validation, device.seed, epoch)
    return state._replace(weights=weights), sums


def _test(config: RunConfig, compiled: Executables, dataset: Dataset, weights: Weights) -> Metrics:
    count = len(dataset.test.labels)
    test = pad_split(dataset.test, eval_size(dataset))
    sums = compiled.test(*jax.device_put((weights, *test, np.int32(count))))
    return compute_metrics(sums, count, EVALUATION_BATCH, config.protocol)


def _summarise(
    config: RunConfig, history: list[dict[str, Any]], test: Metrics | None, diverged: Diverged | None
) -> dict[str, Any]:
    best = best_epoch(_accuracies(history)) if history else None
    return {
        "epochs": len(history),
        "best_epoch": best,
        "train": None if best is None else history[best]["train"],
        "validation": None if best is None else history[best]["validation"],
        "test": test and test._asdict(),
        "images_per_second": statistics.median(r["images_per_second"] for r in history) if history else None,
        "stopped": "diverged" if diverged else _stopped(config, history),
        "diverged": diverged and diverged._asdict(),
    }
