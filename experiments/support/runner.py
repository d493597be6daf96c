"""Train, resume or read the runs of an experiment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cnn3 import (
    ConfigError,
    Dataset,
    OutputError,
    RunConfig,
    Split,
    default_block,
    files,
    fit,
    load,
    load_weights,
    predict,
)
from cnn3.analysis.cost import training_flops
from cnn3.cli import UsageError, note
from cnn3.config import SEED
from cnn3.data.loading import dataset_digest
from cnn3.nn.network import CNN3
from cnn3.runs.fit import check_run
from cnn3.runs.layout import BEST
from cnn3.runs.locks import BusyError
from cnn3.runs.metadata import read_versions
from cnn3.runs.reuse import read_finished
from cnn3.runs.run_name import run_name
from cnn3.runs.versions import code_mismatch, current_versions, data_mismatch
from cnn3.training.evaluate import EVALUATION_BATCH
from cnn3.training.state import Weights, make_train_spec
from experiments.support import worker_pool
from experiments.support.finished_runs import only_finished
from experiments.support.mismatches import describe_mismatches
from experiments.support.options import CPUS_PER_RUN, Options
from experiments.support.placement import placements
from experiments.support.run import Run, RunSummary
from experiments.support.worker import Job

Prepare = Callable[[Dataset], Dataset]


def identity(dataset: Dataset) -> Dataset:
    """Return the data set unchanged."""
    return dataset


def run_all(
    options: Options,
    experiment: str,
    configs: Mapping[str, RunConfig],
    *,
    prepare: Prepare = identity,
) -> dict[str, list[Run]]:
    """Train each configuration with each seed. Finished runs are reused, interrupted ones resumed.

    Args:
        options: the command line.
        experiment: the name of the experiment; its output folder is created.
        configs: the configurations by name of their table row; their seeds are replaced.
        prepare: makes the data set of the configurations from the one that the options name.

    Returns:
        the runs of each row, in the order of the seeds.

    Raises:
        ConfigError, DataError, OutputError, UsageError: a run is impossible; raised before training begins.
        UnfinishedError: only finished runs are to be used, and a row has none.
    """
    _check_limit(options, configs)
    files.make_folder(options.folder(experiment))
    seeds = range(SEED, SEED + options.seeds)
    jobs = {(name, seed): replace(config, seed=seed) for seed in seeds for name, config in configs.items()}
    runs = {config: _read(options, _run_folder(options, config), config) for config in jobs.values()}
    _print_status(options, runs)
    if options.only_finished:
        return only_finished(jobs, runs)
    if None in runs.values():
        files.make_folder(options.runs_folder(), "--output" if options.runs is None else "--runs")
    labels = _labels(jobs)
    if options.in_parallel():
        pending = {config: label for config, label in labels.items() if runs[config] is None}
        runs |= _train_in_parallel(options, pending, prepare)
    for wait in (False, True):  # runs that another process is training come last
        for seed in seeds:
            pending = {
                config: label for config, label in labels.items() if config.seed == seed and runs[config] is None
            }
            for config, run in _train(options, seed, pending, wait, prepare):
                runs[config] = run
    return {name: [run for seed in seeds if (run := runs[jobs[name, seed]])] for name in configs}


def load_trained(run: Run, name: str) -> tuple[CNN3, Weights]:
    """Return a run's network and the weights that it saved under a name.

    Raises:
        WeightsError: they cannot be read.
    """
    model = make_train_spec(run.config, default_block(run.config.precision)).model
    return model, load_weights(run.folder / f"{name}.safetensors", model)


def classify_test_images(options: Options, run: Run) -> tuple[Split, Float[np.ndarray, "n classes"]]:
    """Return the test images, and the logits of a run's best weights for them.

    Raises:
        WeightsError: the weights cannot be read.
    """
    model, weights = load_trained(run, BEST)
    test = load(options.dataset, options.data_dir).test
    return test, np.asarray(predict(model, EVALUATION_BATCH, weights, test.images).logits)


def _labels(jobs: Mapping[tuple[str, int], RunConfig]) -> dict[RunConfig, str]:
    """Return what the display calls each run: its row and seed, and which of several runs it is."""
    labels = {config: f"{name}, seed {seed}" for (name, seed), config in jobs.items()}
    if len(labels) == 1:
        return labels
    return {config: f"{label} ({n} of {len(labels)})" for n, (config, label) in enumerate(labels.items(), 1)}


def _run_folder(options: Options, config: RunConfig) -> Path:
    return options.runs_folder() / run_name(config)


def _check_limit(options: Options, configs: Mapping[str, RunConfig]) -> None:
    """Refuse fewer images than a batch. The message names the option, since the command line has no batch size."""
    for name, config in configs.items():
        if options.limit is not None and options.limit < config.batch_size:
            raise UsageError(f"limit must be at least {config.batch_size}, a batch of {name}, not {options.limit}")


def _print_status(options: Options, runs: Mapping[RunConfig, Run | None]) -> None:
    """Print how many runs are done, which other versions made them, and what happens to runs of other code."""
    done = [run for run in runs.values() if run is not None]
    if done:
        note(f"{len(done)} of {len(runs)} runs are done")
    for mismatch in describe_mismatches(done, len(runs)):
        note(f"{mismatch}; they are used as they are")
    other_data = sum(data_mismatch(run.versions, _digest(options, run.config)) is not None for run in done)
    if other_data:
        note(f"{other_data} of {len(runs)} runs were trained on other images than these; they are used as they are")
    consequence = "left out" if options.only_finished else "trained again"
    for config in (config for config, run in runs.items() if run is None):
        outcome = read_finished(config, _run_folder(options, config), "any-version")
        if outcome is not None and (code := code_mismatch(outcome.versions, current_versions(config))) is not None:
            note(f"{run_name(config)} was made with {code}: it is {consequence}; --reuse any-version uses it as it is")


def _train(
    options: Options, seed: int, pending: Mapping[RunConfig, str], wait: bool, prepare: Prepare
) -> Iterator[tuple[RunConfig, Run]]:
    """Train the pending runs of a seed, skipping those that another process is training unless `wait` is true.

    The seed draws the split, so the data set stays in memory only for the runs of one seed.
    """
    if not pending:
        return
    dataset = _load(options, seed, pending, prepare)
    for config, label in pending.items():
        folder = _run_folder(options, config)
        try:
            result = fit(config, dataset, folder, label=label, wait=wait, reuse=options.reuse)
        except BusyError:
            continue
        yield config, Run(config, folder, result.history, RunSummary.from_dict(result.summary), read_versions(folder))


def _train_in_parallel(options: Options, pending: Mapping[RunConfig, str], prepare: Prepare) -> dict[RunConfig, Run]:
    """Train each run in a process of its own, the longest first, so that none of them is left alone at the end.

    `pending` has their labels.
    """
    if not pending:
        return {}
    _load(options, SEED, pending, prepare)  # decodes the images once, before the processes read them
    data = options.dataset, options.data_dir, options.limit, prepare, options.reuse
    longest_first = sorted(pending, key=_arithmetic, reverse=True)
    jobs = [Job(config, _run_folder(options, config), pending[config], *data) for config in longest_first]
    runs: dict[RunConfig, Run] = {}
    for job in _engine(options)(jobs):
        run = _read(options, job.folder, job.config)
        if run is None:
            raise OutputError(f"{job.folder} was changed by another process; start again")
        runs[job.config] = run
    return runs


def _arithmetic(config: RunConfig) -> float:
    """Return a run's arithmetic up to a factor: that of its network, traced once however many runs have it."""
    return config.epochs * training_flops(RunConfig(model=config.model))


def _engine(options: Options) -> Callable[[Sequence[Job]], Iterator[Job]]:
    """Return what trains jobs, several at a time, and yields each when its run has ended."""
    if options.engine == "processes":
        return partial(worker_pool.train, placements=placements(options.jobs))
    from experiments.support import ray_cluster, ray_engine  # Ray is an extra

    cpus = options.cpus_per_run or CPUS_PER_RUN
    settings = ray_cluster.Settings(options.address, cpus, options.gpus_per_run, options.shared)
    return partial(ray_engine.train, settings=settings)


def _load(options: Options, seed: int, pending: Mapping[RunConfig, str], prepare: Prepare) -> Dataset:
    """Return the data set of a seed after checking that every pending run is possible on it."""
    dataset = prepare(load(options.dataset, options.data_dir, seed=seed, limit=options.limit))
    for config, label in pending.items():
        try:
            check_run(config, dataset)
        except ConfigError as error:
            remedy = "" if options.limit is None else "; on the command line, another --limit"
            raise ConfigError(f"{label}: {error}{remedy}") from None
    return dataset


def _read(options: Options, folder: Path, config: RunConfig) -> Run | None:
    """Return the run in a folder, None if it has to be trained; `fit` reports why.

    Where none may be trained, the images of this machine do not matter.
    """
    digest = None if options.only_finished else _digest(options, config)
    outcome = read_finished(config, folder, options.reuse, digest)
    if outcome is None:
        return None
    return Run(config, folder, outcome.history, RunSummary.from_dict(outcome.summary), outcome.versions)


def _digest(options: Options, config: RunConfig) -> str | None:
    """Return the digest of a configuration's data on this machine, None if it is unknown."""
    return dataset_digest(config.dataset, options.data_dir, seed=config.seed, limit=config.limit)
