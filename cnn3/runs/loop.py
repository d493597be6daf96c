"""The training loop: epoch after epoch, with checkpoints, until a run stops."""

import time
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnn3.config import RunConfig
from cnn3.data.dataset import Dataset
from cnn3.runs.compilation import Executables, compile_run
from cnn3.runs.device import DeviceArrays, eval_size, pad_split, to_device
from cnn3.runs.folder import RunFolder
from cnn3.runs.initial_weights import state_from
from cnn3.runs.layout import BEST, INITIAL, WEIGHTS, snapshot_name
from cnn3.runs.memory import check_memory, temp_bytes
from cnn3.runs.progress import ProgressReporter
from cnn3.runs.result import (
    Divergence,
    EpochHook,
    History,
    Result,
    kept_snapshots,
    load_run_weights,
    stop_reason,
    summarize,
    validation_accuracies,
    weight_names,
)
from cnn3.runs.step_watcher import StepCallback, watch_steps
from cnn3.training.evaluate import EVALUATION_BATCH
from cnn3.training.metrics import NO_DIVERGENCE, Metrics, MetricSums, best_epoch, compute_metrics
from cnn3.training.optim import Hyperparameters
from cnn3.training.schedule import is_constant, learning_rates
from cnn3.training.state import TrainSpec, TrainState, Weights, evaluated_weights, init_state
from cnn3.weights.weight_files import save_weights

# The minimum time between two checkpoints. On a GPU an epoch may take half a second, and a checkpoint as long.
CHECKPOINT_SECONDS = 10.0


def train(
    config: RunConfig,
    spec: TrainSpec,
    dataset: Dataset,
    folder: RunFolder | None,
    label: str | None,
    reporter: ProgressReporter,
    on_epoch: EpochHook | None = None,
    init: Weights | None = None,
) -> Result:
    """Train from where the folder stands until the run stops, and write the results; arguments as for `fit`."""
    device = to_device(config, dataset)
    state = init_state(spec, device.seed) if init is None else state_from(spec, init)
    history: History = []
    weights: dict[str, Weights] = {}

    def keep(name: str, state: TrainState) -> None:
        # a copy: the next epoch reuses the state's memory
        weights[name] = jax.tree.map(np.array, evaluated_weights(state))
        if folder is not None:
            path = folder.path / f"{name}{WEIGHTS}"
            save_weights(path, spec.model, weights[name], dataset.classes)

    checkpoint = folder.restore(state) if folder is not None else None
    if checkpoint is not None and folder is not None:
        restored, history = checkpoint
        state = jax.tree.map(jnp.copy, restored)  # into memory of XLA's own: only there can an epoch work in place
        weights = load_run_weights(config, spec.model, folder.path, history)
    else:
        keep(INITIAL, state)

    divergence = None
    with ExitStack() as stack:
        callbacks = stack.enter_context(reporter(label, len(history), config.epochs)) if label else None
        counts = len(dataset.train.labels), len(dataset.validation.labels), eval_size(dataset)
        compiled = compile_run(config, spec, *counts)
        on_step = callbacks.on_step if callbacks and jax.default_backend() == "cpu" else None  # GPU epochs are short
        check_memory(temp_bytes(compiled.train_epoch), config.batch_size)
        checkpoint_due = time.perf_counter()
        while stop_reason(config, history) is None:
            epoch = len(history)
            state, record, divergence = _run_epoch(config, compiled, state, device, on_step, epoch)
            if divergence:
                break
            history.append(record)
            if best_epoch(validation_accuracies(history)) == epoch:
                keep(BEST, state)
            if epoch in kept_snapshots(config, history):
                keep(snapshot_name(epoch), state)
            if folder is not None:
                folder.write_history(history)
                if time.perf_counter() >= checkpoint_due or stop_reason(config, history):
                    folder.save(state, history, map(snapshot_name, kept_snapshots(config, history)))
                    checkpoint_due = time.perf_counter() + CHECKPOINT_SECONDS
            if callbacks is not None:
                callbacks.on_epoch(record)
            if on_epoch is not None:
                on_epoch(deepcopy(record))
    test = _test(config, compiled, dataset, weights[BEST]) if history else None
    summary = summarize(config, history, test, divergence)
    if folder is not None:
        folder.finish(summary, weight_names(config, history))
    return Result(config, history, summary, weights)


def _run_epoch(
    config: RunConfig,
    compiled: Executables,
    state: TrainState,
    device: DeviceArrays,
    on_step: StepCallback | None,
    epoch: int,
) -> tuple[TrainState, dict[str, Any], Divergence | None]:
    """Train and validate one epoch; return the new state, the epoch's record, and where it diverged if it did.

    The old state's memory is used up.
    """
    count = len(device.train.labels)
    index = jax.device_put(np.int32(epoch))
    steps = -(-count // config.batch_size)
    hyper = _scheduled(config, device.hyper, epoch, steps)
    start = time.perf_counter()
    with watch_steps(state, steps, on_step):
        state, train = jax.block_until_ready(compiled.train_epoch(state, hyper, *device.train, device.seed, index))
    train_end = time.perf_counter()
    state, validation = _validate(config, compiled, state, device, index)
    validation_count = int(device.validation_count)
    record = {
        "epoch": epoch,
        "train": compute_metrics(train, count, config.batch_size, config.protocol)._asdict(),
        "validation": compute_metrics(validation, validation_count, config.batch_size, config.protocol)._asdict(),
        "seconds": time.perf_counter() - start,
        "images_per_second": count / (train_end - start),
    }
    passes = {"training": int(train.diverged_at), "validation": int(validation.diverged_at)}
    divergences = [Divergence(epoch, during, step) for during, step in passes.items() if step != NO_DIVERGENCE]
    return state, record, divergences[0] if divergences else None


def _scheduled(config: RunConfig, hyper: Hyperparameters, epoch: int, steps: int) -> Hyperparameters:
    """Return the numbers of an epoch: its learning rates, step by step, if they change."""
    if is_constant(config.schedule):
        return hyper
    rates = learning_rates(config.optimizer, config.schedule, epoch, config.epochs, steps)
    return hyper._replace(learning_rate=jax.device_put(rates))


def _validate(
    config: RunConfig, compiled: Executables, state: TrainState, device: DeviceArrays, epoch: jax.Array
) -> tuple[TrainState, MetricSums]:
    """Return the state and the validation metrics; the published protocol changes the state in validation."""
    if not config.protocol.validate_in_training_mode:
        return state, compiled.validate(evaluated_weights(state), *device.validation, device.validation_count)
    weights, sums = compiled.validate(state.weights, *device.validation, device.seed, epoch)
    return state._replace(weights=weights), sums


def _test(config: RunConfig, compiled: Executables, dataset: Dataset, weights: Weights) -> Metrics:
    count = len(dataset.test.labels)
    test = pad_split(dataset.test, eval_size(dataset))
    sums = compiled.test(*jax.device_put((weights, *test, np.int32(count))))
    return compute_metrics(sums, count, EVALUATION_BATCH, config.protocol)
