"""Running, resuming or reading a list of runs, which the experiments share."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from cnn3 import ConfigError, Dataset, OutputError, RunConfig, default_block, files, fit, load, load_weights
from cnn3.cli import UsageError
from cnn3.config import SEED
from cnn3.data.loading import dataset_digest
from cnn3.nn.network import CNN3
from cnn3.runs.fit import check_run
from cnn3.runs.locks import BusyError
from cnn3.runs.metadata import read_versions
from cnn3.runs.reuse import read_finished
from cnn3.runs.versions import Versions, code_mismatch, current_versions, settings_mismatch
from cnn3.training.state import Weights, make_train_spec
from experiments.support.finished import only_finished
from experiments.support.jobs import train
from experiments.support.options import Options
from experiments.support.places import places
from experiments.support.run_name import run_name
from experiments.support.worker import Job


class Run(NamedTuple):
    """A run that has ended."""

    config: RunConfig
    folder: Path
    history: list[dict[str, Any]]  # as `fit` returns it
    summary: dict[str, Any]
    versions: Versions  # with what it was made

    def others(self) -> str | None:
        """Return in words with which other code, versions and settings the run was made, or None if with the same."""
        current = current_versions(self.config)
        return (
            " and ".join(
                filter(None, (code_mismatch(self.versions, current), settings_mismatch(self.versions, current)))
            )
            or None
        )


def as_it_is(dataset: Dataset) -> Dataset:
    """Return the data set."""
    return dataset


def run_all(
    options: Options,
    experiment: str,
    configs: Mapping[str, RunConfig],
    *,
    prepare: Callable[[Dataset], Dataset] = as_it_is,
) -> dict[str, list[Run]]:
    """Train each configuration with each seed; what is done is only read, what was cut off goes on.

    Args:
        options: the command line.
        experiment: whose results the output folder is to take.
        configs: what to run, by the names of the table's rows; their seed is replaced.
        prepare: makes the data set of the configurations from that of the options.

    Returns:
        the runs of each row, one a seed.

    Raises:
        ConfigError, DataError, OutputError, UsageError: something cannot be done; raised before training begins.
        UnfinishedError: only finished runs are to be used, and a row has none.
    """
    _check_limit(options, configs)
    files.make_folder(options.folder(experiment))
    runs = options.runs_folder()
    seeds = range(SEED, SEED + options.seeds)
    jobs = {(name, seed): replace(config, seed=seed) for seed in seeds for name, config in configs.items()}
    done = {config: _read(options, runs / run_name(config), config) for config in jobs.values()}
    _print_status(runs, done, "left out" if options.only_finished else "trained again")
    if options.only_finished:
        return only_finished(jobs, done)
    if None in done.values():
        files.make_folder(runs, "--output" if options.runs is None else "--runs")
    if options.jobs != 1:
        todo = {config: f"{name}, seed {seed}" for (name, seed), config in jobs.items() if done[config] is None}
        done |= _train_at_once(options, runs, todo, prepare)
    for wait in (False, True):  # for what other processes train, once the rest is done
        for seed in seeds:
            todo = {config: name for (name, _), config in jobs.items() if config.seed == seed and done[config] is None}
            for config, run in _train(options, runs, seed, todo, wait, prepare):
                done[config] = run
    return {name: [run for seed in seeds if (run := done[jobs[name, seed]])] for name in configs}


def load_trained(run: Run, name: str) -> tuple[CNN3, Weights]:
    """Return a run's network with the weights that it has kept under a name.

    Raises:
        WeightsError: they cannot be read.
    """
    model = make_train_spec(run.config, default_block(run.config.precision)).model
    return model, load_weights(run.folder / f"{name}.safetensors", model)


def _check_limit(options: Options, configs: Mapping[str, RunConfig]) -> None:
    """Refuse fewer images than a batch in terms of the command line, which has no batch size."""
    for name, config in configs.items():
        if options.limit is not None and options.limit < config.batch_size:
            raise UsageError(f"limit must be at least {config.batch_size}, a batch of {name}, not {options.limit}")


def _print_status(runs: Path, done: Mapping[RunConfig, Run | None], others_are: str) -> None:
    """Say which runs are done, with which other versions, and what becomes of those of other code."""
    found = [run for run in done.values() if run is not None]
    if found:
        print(f"{len(found)} of {len(done)} runs are done")
    for others, count in Counter(run.others() for run in found).items():
        if others is not None:
            print(f"{count} of {len(done)} runs were made with {others}; they are used as they are")
    for config in (config for config, run in done.items() if run is None):
        outcome = read_finished(config, runs / run_name(config), "any-version")
        if outcome is not None and (code := code_mismatch(outcome.versions, current_versions(config))) is not None:
            print(f"{run_name(config)} was made with {code}: it is {others_are}; --reuse any-version takes it as it is")


def _train(
    options: Options,
    runs: Path,
    seed: int,
    todo: Mapping[RunConfig, str],
    wait: bool,
    prepare: Callable[[Dataset], Dataset],
) -> Iterator[tuple[RunConfig, Run]]:
    """Do a seed's runs, but those of other processes if not to wait for them.

    The data set, whose split the seed draws, is in memory only so long.
    """
    if not todo:
        return
    dataset = _load(options, seed, todo, prepare)
    for config, name in todo.items():
        folder = runs / run_name(config)
        try:
            result = fit(config, dataset, folder, label=f"{name}, seed {seed}", wait=wait, reuse=options.reuse)
        except BusyError:
            continue
        yield config, Run(config, folder, result.history, result.summary, read_versions(folder))


def _train_at_once(
    options: Options, runs: Path, todo: Mapping[RunConfig, str], prepare: Callable[[Dataset], Dataset]
) -> dict[RunConfig, Run]:
    """Do runs in processes of their own, which are called as `todo` says."""
    if not todo:
        return {}
    _load(options, SEED, todo, prepare)  # what the processes read, once it has been decoded here
    data = options.dataset, options.data_dir, options.limit, prepare, options.reuse
    tasks = [Job(config, runs / run_name(config), label, *data) for config, label in todo.items()]
    done: dict[RunConfig, Run] = {}
    for job in train(tasks, places(options.jobs)):
        run = _read(options, job.folder, job.config)
        if run is None:
            raise OutputError(f"{job.folder} was changed by another process; start again")
        done[job.config] = run
    return done


def _load(options: Options, seed: int, todo: Mapping[RunConfig, str], prepare: Callable[[Dataset], Dataset]) -> Dataset:
    """Return the data set of a seed, once all runs are known to be possible on it."""
    dataset = prepare(load(options.dataset, options.data_dir, seed=seed, limit=options.limit))
    for config, name in todo.items():
        try:
            check_run(config, dataset)
        except ConfigError as error:
            remedy = "" if options.limit is None else "; on the command line, another --limit"
            raise ConfigError(f"{name}: {error}{remedy}") from None
    return dataset


def _read(options: Options, folder: Path, config: RunConfig) -> Run | None:
    """Return the run in a folder, or None if it is to be trained, as `fit` will say why."""
    digest = dataset_digest(config.dataset, options.data_dir, seed=config.seed, limit=config.limit)
    outcome = read_finished(config, folder, options.reuse, digest)
    return outcome and Run(config, folder, *outcome)
