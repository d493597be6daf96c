"""The command line of the experiments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

import cnn3
from cnn3 import OPTIMIZERS, PROTOCOLS, VARIANTS, RunConfig, cli
from cnn3.cli import INT_OPTION, INT_OR_AUTO_OPTION, UsageError
from cnn3.config import SEED, Precision, ProtocolName
from cnn3.runs.interruption import interruptible
from cnn3.train.primitives import PRIMITIVES

MAX_SEEDS = MAX_JOBS = 1000
CPUS_PER_RUN = 1  # several runs with a core each are faster than one run with several
Engine = Literal["processes", "ray"]
TUNED_SNAPSHOTS = (0, 1, 2, 4, 9, 20, 49, 99)  # 20 is the original study's
USUAL_EXAMPLES = ("--dataset digits --epochs 3", "--seeds 3 --jobs auto")  # at the end of --help
EXAMPLES: Mapping[str, Sequence[str]] = {  # by experiment
    "setup": ("--dataset digits", "--data-dir ~/tensorflow_datasets"),
    "differences": ("--jobs auto", "--runs docs/cifar10/runs --only-finished --reuse any-version"),
    "frontier": ("--dataset digits --epochs 3 --rows one-cycle-5", "--seeds 3 --jobs auto"),
    "reproduce": ("--dataset digits --epochs 3", "--sweep-epochs 20 --sweep-limit 15000 --markdown RESULTS.md"),
}
_DATA_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)")
_ADDRESS = tyro.conf.arg(metavar="auto|HOST:PORT", help_behavior_hint="(default: RAY_ADDRESS, else this machine alone)")
_CPUS = tyro.conf.arg(help_behavior_hint=f"(default: {CPUS_PER_RUN})")
_GPUS = tyro.conf.arg(metavar="X", help_behavior_hint="(default: 1 if the cluster has GPUs, else 0)")
_RUNS = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: <output>/<dataset>/runs)")


@dataclass(frozen=True)
class Options:
    """The command line of every experiment.

    Args:
        dataset: cifar10, or digits: 1,797 handwritten digits that come with scikit-learn and need no download.
        data_dir: TFDS's folder, where CIFAR-10 is found or prepared; with --engine ray, on each node. Without this
            option, nodes get the images from this command.
        output: folder for tables and figures.
        runs: folder of the runs. Finished runs are reused, interrupted ones resumed. It is written only if a run is
            trained, so that read-only runs can be tabulated.
        epochs: the maximum number of epochs of a run; it stops earlier if validation accuracy has not risen for 10.
        seeds: the number of runs of each row, with seeds 3136, 3137, ...; tables then have mean and standard deviation.
        protocol: corrected does what the study's text says; published repeats the defects of its program: last norm
            thrown away, validation in training mode, metrics divided by full batches.
        precision: bf16 multiplies in bfloat16, for GPUs; weights and statistics stay float32.
        limit: train on the first N training images only.
        reuse: for finished runs made by other code, same-code trains them again and keeps the old ones next to them;
            any-version uses them as they are, and the tables say so.
        only_finished: train nothing and use only finished runs.
        jobs: the number of runs at a time, each with its share of the cores or a GPU; auto is one for each GPU or, if
            there is none, for each core.
        engine: processes trains on this machine, as --jobs says; ray trains as many runs at a time as fit on the nodes
            of a Ray cluster, and needs cnn3[ray].
        address: of the Ray cluster: auto for the one of this machine, or HOST:PORT.
        cpus_per_run: the number of cores that a run has with --engine ray.
        gpus_per_run: the number of GPUs that a run has with --engine ray, for example 0.25.
        shared: with --engine ray, all nodes see the folder of the runs under the same path, and train there; otherwise
            files go back and forth.
        quiet: print no progress and no notes, only results and warnings.
        verbose: print also what is read, decoded and cached.
        json: print the content of summary.json instead of tables.
    """

    dataset: Literal["cifar10", "digits"] = "cifar10"
    data_dir: Annotated[Path | None, _DATA_DIR] = None
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results")
    runs: Annotated[Path | None, _RUNS] = None
    epochs: Annotated[int, INT_OPTION] = 150
    seeds: Annotated[int, INT_OPTION] = 1
    protocol: ProtocolName = "corrected"
    precision: Precision = "fp32"
    limit: Annotated[int | None, INT_OPTION, tyro.conf.arg(help_behavior_hint="(default: all)")] = None
    reuse: Literal["same-code", "any-version"] = "same-code"
    only_finished: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: Annotated[int | Literal["auto"], INT_OR_AUTO_OPTION] = 1
    engine: Engine = "processes"
    address: Annotated[str | None, _ADDRESS] = None
    cpus_per_run: Annotated[int | None, INT_OPTION, _CPUS] = None
    gpus_per_run: Annotated[float | None, PRIMITIVES[float], _GPUS] = None
    shared: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    verbose: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False

    def config(self, **changes: Any) -> RunConfig:
        """Return the original study's default run under these options, with some fields changed.

        Raises:
            ConfigError: an option or a change is not allowed.
        """
        protocol = PROTOCOLS[self.protocol]
        default = RunConfig(
            protocol=protocol, dataset=self.dataset, limit=self.limit, epochs=self.epochs, precision=self.precision
        )
        return replace(default, **changes)

    def tuned(self, **changes: Any) -> RunConfig:
        """Return the original study's tuned run (section 5) under these options, with some fields changed.

        It saves the weights of some epochs, at growing distances, to show how the latent space evolves.
        """
        tuned = self.config(
            model=VARIANTS["batch_norm"], optimizer=OPTIMIZERS["adam"], batch_size=64, snapshots=TUNED_SNAPSHOTS
        )
        return replace(tuned, **changes)

    def folder(self, experiment: str) -> Path:
        """Return the folder of an experiment's results."""
        return self.output / self.dataset / experiment

    def runs_folder(self) -> Path:
        """Return the folder that holds the folders of the runs."""
        return self.folder("runs") if self.runs is None else self.runs

    def in_parallel(self) -> bool:
        """Whether runs are trained in other processes than this one."""
        return self.jobs != 1 or self.engine == "ray"

    def describe_seeds(self) -> str:
        """Return how many seeds the runs have, and which."""
        return f"1 seed ({SEED})" if self.seeds == 1 else f"{self.seeds} seeds ({SEED} to {SEED + self.seeds - 1})"

    def describe(self) -> str:
        """Return how the runs of a table were made, in a sentence."""
        images = "all training images" if self.limit is None else f"the first {self.limit} training images"
        epochs = "1 epoch" if self.epochs == 1 else f"at most {self.epochs} epochs"
        how = f"protocol {self.protocol}" + (", in bfloat16" if self.precision == "bf16" else "")
        return f"Data set {self.dataset}, {images}; {epochs}; {self.describe_seeds()}; {how}."


OptionsT = TypeVar("OptionsT", bound=Options)


def command(
    kind: type[OptionsT],
    work: Callable[[OptionsT], list[Path]],
    name: str,
    about: str,
    args: Sequence[str] | None = None,
) -> int:
    """Run an experiment from the command line.

    SIGINT and SIGTERM end the process, with status 130 and 143, if this is its main thread.

    Args:
        kind: the class of the options.
        work: runs the experiment and returns the paths of the files that it wrote.
        name: the name of the module, as in `python -m experiments.NAME`.
        about: what `--help` says first.
        args: the command line; None takes that of the process.

    Returns:
        the exit status: 0, or 2 after an error.
    """
    cli.tolerate_lost_output()
    try:
        options = parse(kind, name, about, args)
        paths = _run(work, options)
    except UsageError as error:
        return cli.report(error)
    except (cnn3.ConfigError, cnn3.DataError, cnn3.OutputError, cnn3.WeightsError) as error:
        return cli.report(error)
    if not options.json:
        for path in paths:
            print(f"wrote {path}")
    return 0


def _run(work: Callable[[OptionsT], list[Path]], options: OptionsT) -> list[Path]:
    # these import JAX, which --help does not need
    from cnn3.jax_settings import check_jax
    from cnn3.runs.compilation import cache_compilations
    from experiments.support.placement import share_gpus

    with interruptible(), cli.verbosity(options.quiet, options.verbose):
        if options.engine == "ray" and not options.only_finished:
            from experiments.support.ray_cluster import connect  # Ray is an extra

            connect(options.address)  # before JAX has threads, since Ray starts processes by forking
        if options.in_parallel():
            share_gpus()
        check_jax()
        cache_compilations()
        return work(options)


def parse(kind: type[OptionsT], name: str, about: str, args: Sequence[str] | None = None) -> OptionsT:
    """Return the options of a command line.

    Raises:
        UsageError: it is invalid.
        SystemExit: it asked for help, which was printed.
    """
    options = cli.parse(kind, f"python -m experiments.{name}", about, args, EXAMPLES.get(name, USUAL_EXAMPLES))
    if not 1 <= options.seeds <= MAX_SEEDS:
        raise UsageError(f"seeds must be an integer from 1 to {MAX_SEEDS}, not {options.seeds}")
    if options.jobs != "auto" and not 1 <= options.jobs <= MAX_JOBS:
        raise UsageError(f"jobs must be auto or an integer from 1 to {MAX_JOBS}, not {options.jobs}")
    _check_engine(options)
    return options


def _check_engine(options: Options) -> None:
    """Refuse options of another engine than the one chosen.

    Raises:
        UsageError: there are some, one is out of range, or Ray is not installed.
    """
    if options.engine == "ray":
        if options.jobs != 1:
            raise UsageError("jobs is for --engine processes; with --engine ray, --cpus-per-run decides")
        if find_spec("ray") is None:
            raise UsageError("engine ray needs Ray: pip install 'cnn3[ray]'")
        if options.address is not None and "://" in options.address:
            raise UsageError(
                f"address must be auto or HOST:PORT, not {options.address}: run the command on a machine of the cluster"
            )
        if options.cpus_per_run is not None and options.cpus_per_run < 1:
            raise UsageError(f"cpus-per-run must be at least 1, not {options.cpus_per_run}")
        gpus = options.gpus_per_run
        if gpus is not None and not 0 <= gpus <= 1:
            raise UsageError(f"gpus-per-run must be from 0 to 1, not {gpus:g}")
        return
    given = {
        "address": options.address is not None,
        "cpus-per-run": options.cpus_per_run is not None,
        "gpus-per-run": options.gpus_per_run is not None,
        "shared": options.shared,
    }
    for name in (name for name, present in given.items() if present):
        raise UsageError(f"{name} is for --engine ray")
