"""What the experiments share: the command line, and running or resuming a list of runs."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import tyro

from cnn3 import (
    OPTIMIZERS,
    PROTOCOLS,
    VARIANTS,
    ConfigError,
    DataError,
    Dataset,
    OutputError,
    RunConfig,
    WeightsError,
    cli,
    default_block,
    files,
    fit,
    load,
    load_weights,
)
from cnn3.claim import read_record
from cnn3.cli import COUNT, JOBS, UsageError, one_line
from cnn3.compilation import cache_compilations
from cnn3.config import SEED, Precision, ProtocolName
from cnn3.data import identify
from cnn3.fit import check
from cnn3.jax_settings import check_jax
from cnn3.locks import BusyError
from cnn3.model import CNN3
from cnn3.record import Record, current_record, other_code, other_settings
from cnn3.reuse import Reuse, finished
from cnn3.train import Weights, make_program
from experiments.finished import only_finished
from experiments.interruption import interruptible
from experiments.jobs import train
from experiments.places import places, share_gpus
from experiments.run_name import run_name
from experiments.worker import Job

MOST_SEEDS = MOST_JOBS = 1000
TUNED_SNAPSHOTS = (0, 1, 2, 4, 9, 20, 49, 99)  # 20 is the original study's
_DATA_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)")
_RUNS = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: <output>/<dataset>/runs)")


@dataclass(frozen=True)
class Options:
    """The command line of every experiment.

    Args:
        dataset: cifar10, or digits: 1,797 handwritten digits that come with scikit-learn and need no download.
        data_dir: TFDS's folder, where CIFAR-10 is or is to be prepared.
        output: folder for tables and figures.
        runs: folder of the runs, each in a folder of its own; what is done there is only read, what was cut off goes
            on. It is written only if a run is to be trained, so that the runs of others can be tabulated.
        epochs: the most epochs of a run; it stops earlier once validation accuracy has not risen for 10.
        seeds: runs of each row, with seeds 3136, 3137, ...; tables then give mean and standard deviation.
        protocol: corrected does what the study's text says; published repeats the defects of its program: last norm
            thrown away, validation in training mode, metrics divided by full batches.
        precision: bf16 multiplies in bfloat16, for GPUs; weights and statistics stay float32.
        limit: train on the first N training images only.
        reuse: finished runs that other code has made: same-code trains them again and keeps the old ones beside them,
            any-version takes them as they are, and the tables say so.
        only_finished: train nothing, and use only the runs that have finished.
        jobs: runs at a time, each with its share of the cores or a GPU; auto is one a GPU or, without, one a core.
    """

    dataset: Literal["cifar10", "digits"] = "cifar10"
    data_dir: Annotated[Path | None, _DATA_DIR] = None
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results")
    runs: Annotated[Path | None, _RUNS] = None
    epochs: Annotated[int, COUNT] = 150
    seeds: Annotated[int, COUNT] = 1
    protocol: ProtocolName = "corrected"
    precision: Precision = "fp32"
    limit: Annotated[int | None, COUNT, tyro.conf.arg(help_behavior_hint="(default: all)")] = None
    reuse: Reuse = "same-code"
    only_finished: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: Annotated[int | Literal["auto"], JOBS] = 1

    def config(self, **changes: Any) -> RunConfig:
        """Return the original study's default run under these options, with some fields changed.

        Raises:
            ConfigError: an option or a change is impossible.
        """
        protocol = PROTOCOLS[self.protocol]
        default = RunConfig(
            protocol=protocol, dataset=self.dataset, limit=self.limit, epochs=self.epochs, precision=self.precision
        )
        return replace(default, **changes)

    def tuned(self, **changes: Any) -> RunConfig:
        """Return the original study's tuned run (section 5) under these options, with some fields changed.

        It keeps the weights of some epochs, more and more apart, to show how the latent space evolves.
        """
        tuned = self.config(
            model=VARIANTS["batch_norm"], optimizer=OPTIMIZERS["adam"], batch_size=64, snapshots=TUNED_SNAPSHOTS
        )
        return replace(tuned, **changes)

    def folder(self, experiment: str) -> Path:
        """Return where an experiment's results lie."""
        return self.output / self.dataset / experiment

    def runs_folder(self) -> Path:
        """Return where the folders of the runs lie."""
        return self.folder("runs") if self.runs is None else self.runs

    def describe(self) -> str:
        """Return in words what a table must say of its numbers."""
        images = "all training images" if self.limit is None else f"the first {self.limit} training images"
        epochs = "1 epoch" if self.epochs == 1 else f"at most {self.epochs} epochs"
        seeds = f"1 seed ({SEED})" if self.seeds == 1 else f"{self.seeds} seeds ({SEED} to {SEED + self.seeds - 1})"
        how = f"protocol {self.protocol}" + (", in bfloat16" if self.precision == "bf16" else "")
        return f"Data set {self.dataset}, {images}; {epochs}; {seeds}; {how}."


Given = TypeVar("Given", bound=Options)


class Run(NamedTuple):
    """A run that has ended."""

    config: RunConfig
    folder: Path
    history: list[dict[str, Any]]  # as `fit` returns it
    summary: dict[str, Any]
    record: Record  # with what it was made

    def others(self) -> str | None:
        """Return in words with which other code, versions and settings the run was made, or None if with the same."""
        current = current_record(self.config)
        return (
            " and ".join(filter(None, (other_code(self.record, current), other_settings(self.record, current)))) or None
        )


def command(
    kind: type[Given], work: Callable[[Given], list[Path]], name: str, about: str, args: Sequence[str] | None = None
) -> int:
    """Run an experiment from the command line.

    SIGINT and SIGTERM end the process, with status 130 and 143, if this is its main thread.

    Args:
        kind: of its options.
        work: does the experiment and returns the files that it wrote.
        name: of the module, as `python -m experiments.NAME`.
        about: what `--help` says first.
        args: the command line; None is the process's own.

    Returns:
        the exit status: 0, or 2 if it cannot be done.
    """
    try:
        options = parse(kind, name, about, args)
        logging.basicConfig(format="%(message)s")
        with interruptible():
            if options.jobs != 1:
                share_gpus()
            check_jax()
            cache_compilations()
            paths = work(options)
    except (UsageError, ConfigError, DataError, OutputError, WeightsError) as error:
        print(one_line(error), file=sys.stderr)
        return 2
    for path in paths:
        print(f"wrote {path}")
    return 0


def parse(kind: type[Given], name: str, about: str, args: Sequence[str] | None = None) -> Given:
    """Return the options of a command line.

    Raises:
        UsageError: it cannot be understood.
        SystemExit: it asked for help, which was printed.
    """
    options = cli.parse(kind, f"python -m experiments.{name}", about, args)
    if not 1 <= options.seeds <= MOST_SEEDS:
        raise UsageError(f"seeds must be a whole number from 1 to {MOST_SEEDS}, not {options.seeds}")
    if options.jobs != "auto" and not 1 <= options.jobs <= MOST_JOBS:
        raise UsageError(f"jobs must be auto or a whole number from 1 to {MOST_JOBS}, not {options.jobs}")
    return options


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
    _tell(runs, done, "left out" if options.only_finished else "trained again")
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


def trained(run: Run, name: str) -> tuple[CNN3, Weights]:
    """Return a run's network with the weights that it has kept under a name.

    Raises:
        WeightsError: they cannot be read.
    """
    model = make_program(run.config, default_block(run.config.precision)).model
    return model, load_weights(run.folder / f"{name}.safetensors", model)


def _check_limit(options: Options, configs: Mapping[str, RunConfig]) -> None:
    """Refuse fewer images than a batch in terms of the command line, which has no batch size."""
    for name, config in configs.items():
        if options.limit is not None and options.limit < config.batch_size:
            raise UsageError(f"limit must be at least {config.batch_size}, a batch of {name}, not {options.limit}")


def _tell(runs: Path, done: Mapping[RunConfig, Run | None], others_are: str) -> None:
    """Say which runs are done, with which other versions, and what becomes of those of other code."""
    found = [run for run in done.values() if run is not None]
    if found:
        print(f"{len(found)} of {len(done)} runs are done")
    for others, count in Counter(run.others() for run in found).items():
        if others is not None:
            print(f"{count} of {len(done)} runs were made with {others}; they are used as they are")
    for config in (config for config, run in done.items() if run is None):
        outcome = finished(config, runs / run_name(config), "any-version")
        if outcome is not None and (code := other_code(outcome.record, current_record(config))) is not None:
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
        yield config, Run(config, folder, result.history, result.summary, read_record(folder))


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
            check(config, dataset)
        except ConfigError as error:
            remedy = "" if options.limit is None else "; on the command line, another --limit"
            raise ConfigError(f"{name}: {error}{remedy}") from None
    return dataset


def _read(options: Options, folder: Path, config: RunConfig) -> Run | None:
    """Return the run in a folder, or None if it is to be trained, as `fit` will say why."""
    digest = identify(config.dataset, options.data_dir, seed=config.seed, limit=config.limit)
    outcome = finished(config, folder, options.reuse, digest)
    return outcome and Run(config, folder, *outcome)
