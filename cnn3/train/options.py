"""The command line of `python -m cnn3.train`: every field of `RunConfig` is an option, whatever fields it has.

Options are those of classes made from the configuration's own, without their checks: the checks are made once all
options are known. Their defaults are the fields of the starting point.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from cnn3 import cli
from cnn3.cli import UsageError
from cnn3.config import OPTIMIZERS, PART_TYPES, PROTOCOLS, VARIANTS, ConfigError, RunConfig
from cnn3.train.primitives import PRIMITIVES, choice, path_option

# Annotations of the options of some fields, by part and field; the name of the option is theirs.
OVERRIDES: Mapping[tuple[str, str], Any] = {
    ("", "dataset"): tyro.conf.arg(
        metavar="NAME|PATH",
        help="cifar10, cifar100, digits, or images of your own: a .npz file or a folder of class folders.",
        help_behavior_hint=lambda default: f"(default: {default})",
    ),
    ("model", "classes"): tyro.conf.arg(help_behavior_hint="(default: that of the data set)"),
}
FROM_DATASET = {("model", "classes")}  # fields that are as the data set says, unless they are given

WITHOUT_PREFIX = tyro.conf.arg(prefix_name=False)
_DEFAULT_DATA = tyro.conf.arg(help_behavior_hint="(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)")


@dataclass(frozen=True)
class StartingPoint:
    """Where the defaults of all options below come from; what you give below overrides it, in any order.

    Args:
        config: a configuration in JSON, such as config.json in a run's folder.
        variant: the network of one of the original study's variants.
        optimizer: one of the original study's section 6 or AdamW, with a learning rate of 0.0001.
        protocol: corrected repeats none of the original program's defects, published all of them.
    """

    config: Annotated[Path | None, path_option("FILE"), WITHOUT_PREFIX] = None
    variant: Annotated[str | None, choice(VARIANTS), WITHOUT_PREFIX] = None
    optimizer: Annotated[str | None, choice(OPTIMIZERS), WITHOUT_PREFIX] = None
    protocol: Annotated[str | None, choice(PROTOCOLS), WITHOUT_PREFIX] = None


@dataclass(frozen=True)
class Files:
    """Where images are read and the run is kept.

    Args:
        data_dir: TFDS's folder, where CIFAR is found or prepared.
        output: the run's folder is DIR/<dataset>/runs/<name>, where the experiments look for theirs too.
        label: the run's name in the progress display and above its curves; by default that of its network.
        log: write the metrics of each epoch, the configuration and the curves for TensorBoard, to the folder
            tensorboard in the run's folder. It needs tensorboardX.
        quiet: print no progress, only results and warnings.
        verbose: print also what is read, decoded and cached.
        json: print a JSON object with the results and settings of the run.
    """

    data_dir: Annotated[Path | None, path_option("DIR"), _DEFAULT_DATA, WITHOUT_PREFIX] = None
    output: Annotated[Path, path_option("DIR"), WITHOUT_PREFIX] = Path("results")
    label: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint=""), WITHOUT_PREFIX] = None
    log: Annotated[Literal["tensorboard"] | None, choice(["tensorboard"]), WITHOUT_PREFIX] = None
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff, WITHOUT_PREFIX] = False
    verbose: Annotated[bool, tyro.conf.FlagCreatePairsOff, WITHOUT_PREFIX] = False
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, WITHOUT_PREFIX] = False


class TrainOptions(NamedTuple):
    """What a command line asks for.

    Args:
        config: what to train.
        dataset: the name or the path of its data set.
        files: where to read and write.
    """

    config: RunConfig
    dataset: str
    files: Files


def parse(
    program: str, description: str, args: Sequence[str] | None = None, examples: Sequence[str] = ()
) -> TrainOptions:
    """Return what a command line asks for.

    Args:
        program: the command, for `--help` and errors.
        description: the first paragraphs of `--help`.
        args: the arguments; None means those of the process.
        examples: the arguments of commands to show at the end of `--help`.

    Raises:
        UsageError: an option or the file of a starting point is not valid; the message names it.
        SystemExit: the arguments ask for help, which has been printed.
    """
    start = cli.parse_known(StartingPoint, program, args)
    options: Any = cli.parse(_options_type(starting_config(start)), program, description, args, examples)
    values = {name: vars(getattr(options, name)) for name in PART_TYPES}
    name, classes = _look_up(options.run.dataset)
    if values["model"]["classes"] is None:
        values["model"] |= {"classes": classes}
    parts = {part: _build(kind, values[part], f"{part}.") for part, kind in PART_TYPES.items()}
    config = _build(RunConfig, {**vars(options.run), **parts, "dataset": name})
    return TrainOptions(config, options.run.dataset, options.files)


def starting_config(start: StartingPoint) -> RunConfig:
    """Return the configuration that options change.

    Raises:
        UsageError: the file cannot be read, or holds no configuration.
    """
    config = RunConfig() if start.config is None else _read_config(start.config)
    if start.variant is not None:
        config = replace(config, model=VARIANTS[start.variant])
    if start.optimizer is not None:
        config = replace(config, optimizer=OPTIMIZERS[start.optimizer])
    if start.protocol is not None:
        config = replace(config, protocol=PROTOCOLS[start.protocol])  # type: ignore[index]
    return config


def name_option(message: str) -> str:
    """Return a message about a configuration with the option in place of the field that it begins with."""
    field, _, rest = message.partition(" ")
    part, _, name = field.rpartition(".")
    fields = _field_names(PART_TYPES.get(part, RunConfig))
    return f"{_option(field)} {rest}" if name in fields and part in ("", *PART_TYPES) else message


def _look_up(dataset: str) -> tuple[str, int]:
    """Return the name of a data set that is given by its name or path, and its number of classes.

    Raises:
        UsageError: there is no such data set.
    """
    from cnn3.data.loading import class_names, dataset_name  # not needed for help
    from cnn3.data.splits import DataError

    try:
        return dataset_name(dataset), len(class_names(dataset))
    except DataError as error:
        raise UsageError(f"--dataset: {error}") from None


def _read_config(path: Path) -> RunConfig:
    try:
        return RunConfig.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config: {path} is not text; name a file such as config.json in a run's folder") from None
    except ConfigError as error:
        raise UsageError(f"--config: {path} holds no configuration of cnn3: {error}") from None


def _options_type(config: RunConfig) -> type:
    """Return the class of all options, with the fields of a configuration as defaults."""
    run = _group("", RunConfig, "What is trained, on what, and for how long.", config)
    parts = {
        name: _group(name, kind, (kind.__doc__ or "").split("\n\n", 1)[0], getattr(config, name))
        for name, kind in PART_TYPES.items()
    }
    groups = {"start": StartingPoint, "run": run, **parts, "files": Files}
    fields = [(name, kind, dataclasses.field(default_factory=kind)) for name, kind in groups.items()]
    return dataclasses.make_dataclass("Options", fields, frozen=True)


def _group(part: str, kind: Any, title: str, config: Any) -> type:
    """Return a class of options: the fields of a configuration's class but for its parts, without its checks.

    Args:
        part: the name of the part of `RunConfig`; empty for that class itself, whose options have no prefix.
        kind: the class, whose docstring explains the fields.
        title: what `--help` says above the options.
        config: has the defaults.
    """
    fields = []
    for field in dataclasses.fields(kind):
        if field.name in PART_TYPES:
            continue
        place = part, field.name
        derived = place in FROM_DATASET
        option: Any = field.type | None if derived else field.type  # type: ignore[operator]
        for annotation in (PRIMITIVES.get(option), OVERRIDES.get(place), None if part else WITHOUT_PREFIX):
            option = option if annotation is None else Annotated[option, annotation]
        fields.append((field.name, option, dataclasses.field(default=None if derived else _default(config, field))))
    arguments = (kind.__doc__ or "").partition("\n\n    Args:")
    return dataclasses.make_dataclass(
        kind.__name__, fields, frozen=True, namespace={"__doc__": "".join([title, *arguments[1:]])}
    )


def _default(config: Any, field: dataclasses.Field) -> Any:
    """Return a field's value, or None if the other fields determine it, so that they do so again once they change."""
    value = getattr(config, field.name)
    derived = field.default is None and replace(config, **{field.name: None}) == config
    return None if derived else value


def _build(kind: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Return a configuration.

    Raises:
        UsageError: a value is not allowed; the message names the option.
    """
    try:
        return kind(**values)
    except ConfigError as error:
        message = str(error)
        field = message.split(" ", 1)[0]
        raise UsageError(name_option(f"{prefix}{message}" if field in _field_names(kind) else message)) from None


def _field_names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"
