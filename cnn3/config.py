"""What fully defines a run: frozen dataclasses that validate themselves and round-trip through JSON.

The defaults are the report's: the default run of section 3, the model of section 2, the optimizers of section 6.
"""

import dataclasses
import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

Pool = Literal["max", "average"]
OptimizerName = Literal["sgd", "momentum", "rmsprop", "adam", "adamw"]
ProtocolName = Literal["corrected", "published"]
Precision = Literal["fp32", "bf16"]

SEED = 3136  # report, train.py, line 28
SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127  # positive numbers that float32 holds in full precision
LATENT = 128  # width of the last hidden layer, the report's latent space (section 7)


class ConfigError(ValueError):
    """A value that no run can have; the message names the field and what is allowed."""


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {allowed}, not {_shown(value)}")


def _shown(value: object) -> str:
    """Return a value for a message of one line, be it as long as it may."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def _require_int(name: str, value: Any, low: int, high: int = 2**31 - 1) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    _require(whole and low <= value <= high, name, value, f"a whole number from {low} to {high}")


def _require_number(name: str, value: Any, allowed: str, low: float, high: float, *, below: bool = False) -> None:
    number = isinstance(value, float | int) and not isinstance(value, bool)
    _require(number and low <= value and (value < high if below else value <= high), name, value, allowed)


def _as_float(config: object, *names: str) -> None:
    """Make valid numbers floats: 1 and 1.0 are one configuration, and so are 0.0 and -0.0."""
    for name in names:
        object.__setattr__(config, name, float(getattr(config, name)) + 0.0)


def _require_bool(name: str, value: object) -> None:
    _require(isinstance(value, bool), name, value, "true or false")


@dataclass(frozen=True)
class ModelConfig:
    """The network's shape (report, section 2) and the improvements of section 4, which combine freely.

    Args:
        batch_norm: normalise after each convolution and after each hidden fully connected layer.
        dropout: probability of dropping a hidden unit, after each hidden ReLU.
        dense: feed each convolution all earlier feature maps and pool only after the third.
        channels: output channels of the three convolutions.
        hidden: widths of the hidden fully connected layers; the last one is the latent and 128 wide.
        pool: what the 2x2 windows are reduced by.
    """

    batch_norm: bool = False
    dropout: float = 0.0
    dense: bool = False
    channels: tuple[int, int, int] = (256, 128, 64)
    hidden: tuple[int, ...] = (512, LATENT)
    pool: Pool = "max"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        _require_bool("batch_norm", self.batch_norm)
        _require_number("dropout", self.dropout, "a probability in [0, 1)", 0.0, 1.0, below=True)
        _require_bool("dense", self.dense)
        _require_widths("channels", self.channels)
        _require(len(self.channels) == 3, "channels", self.channels, "three whole numbers, one a convolution")
        _require_widths("hidden", self.hidden)
        _require(
            1 <= len(self.hidden) <= 3 and self.hidden[-1] == LATENT,
            "hidden",
            self.hidden,
            f"one to three widths, the last of them {LATENT}",
        )
        _require(self.pool in get_args(Pool), "pool", self.pool, f"one of {', '.join(get_args(Pool))}")
        _as_float(self, "dropout")

    @classmethod
    def from_fields(cls, values: object) -> "ModelConfig":
        """Return the shape whose fields JSON held.

        Raises:
            ConfigError: it is not an object, or a field is missing, unknown or impossible.
        """
        return cls(**_fields(cls, values, "model"))


def _require_widths(name: str, widths: object) -> None:
    valid = isinstance(widths, tuple) and all(type(w) is int and 1 <= w <= 8192 for w in widths)
    _require(valid, name, widths, "a tuple of whole numbers from 1 to 8192")


@dataclass(frozen=True)
class AugmentConfig:
    """How far the random transforms of training images go (original study, section 1.1); see `cnn3.training.augment`.

    Args:
        padding: black pixels on each side before the random 32x32 crop; 0 crops nothing.
        flip: probability of a horizontal flip.
        rotation: largest rotation either way, in degrees.
        shear: largest shear along x either way, in degrees.
        scale: smallest and largest factor of the scaling.
    """

    padding: int = 4
    flip: float = 0.5
    rotation: float = 10.0
    shear: float = 10.0
    scale: tuple[float, float] = (0.8, 1.2)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn, or what `cnn3.training.augment` has no room for in fixed point."""
        _require_int("padding", self.padding, 0, 16)
        _require_number("flip", self.flip, "a probability in [0, 1]", 0.0, 1.0)
        for name in ("rotation", "shear"):
            _require_number(name, getattr(self, name), "a number of degrees from 0 to 25", 0.0, 25.0)
        allowed = "a tuple of the smallest and the largest factor, from 0.75 to 2"
        _require(isinstance(self.scale, tuple) and len(self.scale) == 2, "scale", self.scale, allowed)
        for factor in self.scale:
            _require_number("scale", factor, allowed, 0.75, 2.0)
        _require(self.scale[0] <= self.scale[1], "scale", self.scale, allowed)
        _as_float(self, "flip", "rotation", "shear")
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))


@dataclass(frozen=True)
class OptimizerConfig:
    """One of the optimizers of report section 6, or AdamW.

    Args:
        name: the update rule.
        learning_rate: step size.
        momentum: of `momentum` only.
        weight_decay: added to the gradient as an L2 penalty; of `adamw` alone it is decoupled from it.
    """

    name: OptimizerName = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 3e-4

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        names = get_args(OptimizerName)
        _require(self.name in names, "optimizer", self.name, f"one of {', '.join(names)}")
        positive = f"a number from {SMALLEST:.3g} to {LARGEST:.3g}"
        _require_number("learning_rate", self.learning_rate, positive, SMALLEST, LARGEST)
        _require_number("momentum", self.momentum, "a number in [0, 1)", 0.0, 1.0, below=True)
        _require(self.momentum == 0 or self.name == "momentum", "momentum", self.momentum, f"0 for {self.name}")
        _require_number("weight_decay", self.weight_decay, f"a number from 0 to {LARGEST:.3g}", 0.0, LARGEST)
        _as_float(self, "learning_rate", "momentum", "weight_decay")


@dataclass(frozen=True)
class Protocol:
    """Which of the defects of the report's program a run repeats; by default none.

    Args:
        discard_last_norm: the norm after the last hidden layer is computed and its output thrown away (model.py).
        validate_in_training_mode: validation uses batch statistics, updates the running ones, and drops out (train.py).
        pad_accuracy: accuracy is divided by batches x batch size, though the last batch is smaller (train.py, eval.py).
        mean_of_batch_means: the loss is the mean of batch means, though the last batch is smaller (train.py, eval.py).
        latents_in_training_mode: latents of all but the best weights are taken in training mode (eval.py).
    """

    discard_last_norm: bool = False
    validate_in_training_mode: bool = False
    pad_accuracy: bool = False
    mean_of_batch_means: bool = False
    latents_in_training_mode: bool = False

    def __post_init__(self) -> None:
        """Refuse anything but true and false."""
        for defect in dataclasses.fields(self):
            _require_bool(defect.name, getattr(self, defect.name))


PROTOCOLS: Mapping[ProtocolName, Protocol] = {
    "corrected": Protocol(),
    "published": Protocol(True, True, True, True, True),
}

VARIANTS: Mapping[str, ModelConfig] = {
    "baseline": ModelConfig(),
    "batch_norm": ModelConfig(batch_norm=True),
    "dropout": ModelConfig(dropout=0.2),
    "dense": ModelConfig(dense=True, channels=(128, 64, 32), hidden=(1024, LATENT)),
}

OPTIMIZERS: Mapping[OptimizerName, OptimizerConfig] = {  # report, section 6 and train.py; AdamW is an addition
    "sgd": OptimizerConfig("sgd", 1e-4, weight_decay=0.0),
    "momentum": OptimizerConfig("momentum", 1e-4, momentum=0.9, weight_decay=0.0),
    "rmsprop": OptimizerConfig("rmsprop", 1e-4, weight_decay=0.0),
    "adam": OptimizerConfig("adam", 1e-4),
    "adamw": OptimizerConfig("adamw", 1e-4),
}


@dataclass(frozen=True)
class RunConfig:
    """One training run, whole: the same value gives the same result.

    Args:
        model: the network.
        optimizer: the update rule and its numbers.
        augment: how far training images are transformed at random.
        protocol: which defects of the report's program are repeated.
        dataset: `cifar10` or `digits`.
        limit: train on the first so many training images only; None is all.
        batch_size: images a step.
        epochs: the most epochs trained.
        patience: stop when validation accuracy has not risen for so many epochs.
        snapshots: indices, in rising order, of epochs whose weights are kept, to look at training half way; the report
            keeps those of 20 (section 7).
        precision: of the numbers that convolutions and fully connected layers multiply. Weights, statistics and metrics
            are float32 in any case.
        seed: of the split, the initial weights, the order, the augmentation and the dropout.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    protocol: Protocol = field(default_factory=Protocol)
    dataset: str = "cifar10"
    limit: int | None = None
    batch_size: int = 128
    epochs: int = 150
    patience: int = 10
    snapshots: tuple[int, ...] = (20,)
    precision: Precision = "fp32"
    seed: int = SEED
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name, kind in PARTS.items():
            value = getattr(self, name)
            _require(isinstance(value, kind), name, value, f"a {kind.__name__}")
        named = isinstance(self.dataset, str) and re.fullmatch(r"[a-z0-9_]{1,40}", self.dataset) is not None
        _require(named, "dataset", self.dataset, "the name of a data set")
        if self.limit is not None:
            _require_int("limit", self.limit, 1)
        _require_int("batch_size", self.batch_size, 2)
        _require_int("epochs", self.epochs, 1)
        _require_int("patience", self.patience, 1)
        ordered = isinstance(self.snapshots, tuple) and all(type(e) is int and 0 <= e < 2**31 for e in self.snapshots)
        ordered = ordered and all(a < b for a, b in pairwise(self.snapshots))
        _require(ordered, "snapshots", self.snapshots, "a tuple of whole numbers from 0, in rising order")
        _require(self.precision in get_args(Precision), "precision", self.precision, "fp32 or bf16")
        _require_int("seed", self.seed, 0)

    def to_json(self) -> str:
        """Return the configuration as JSON text, one field a line."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Return the configuration that `to_json` wrote, in this version of cnn3 or an earlier one.

        Raises:
            ConfigError: the text is not a JSON object, or a field is missing, unknown or impossible.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:  # also of a number of too many digits
            raise ConfigError(f"a configuration must be JSON: {error}") from None
        values = _fields(cls, _with_added(values), "the configuration")
        parts = {name: kind(**_fields(kind, values[name], name)) for name, kind in PARTS.items()}
        return cls(**{**values, **parts})

    def digest(self) -> str:
        """Return ten hexadecimal digits that tell this configuration from others.

        Fields that a later version added do not count while they say what was done before there were such fields.
        """
        text = json.dumps(_without_added(dataclasses.asdict(self)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


PARTS: Mapping[str, Any] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "protocol": Protocol,
    "augment": AugmentConfig,
}

# Fields of RunConfig that came after version 0.4, and what a configuration without them means. These are no defaults:
# a default may change, what an old run did may not.
ADDED: Mapping[str, Any] = {
    "augment": {"padding": 4, "flip": 0.5, "rotation": 10.0, "shear": 10.0, "scale": (0.8, 1.2)},
}


def _with_added(values: object) -> object:
    """Return the fields of a configuration with those that an earlier version did not write."""
    return {**ADDED, **values} if isinstance(values, dict) else values


def _without_added(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration that an earlier version would have written of the same run."""
    return {name: value for name, value in values.items() if name not in ADDED or ADDED[name] != value}


def _fields(kind: Any, values: object, name: str) -> dict[str, Any]:
    """Return `values` as JSON held them, lists as tuples, if they are the fields of dataclass `kind`."""
    if not isinstance(values, dict):
        raise ConfigError(f"{name} must be an object, not {_shown(values)}")
    expected = {f.name for f in dataclasses.fields(kind)}
    problems = {"lacks": expected - set(values), "has the unknown": set(values) - expected}
    for problem, fields in problems.items():
        if fields:
            raise ConfigError(f"{name} {problem} field{'s' * (len(fields) > 1)} {', '.join(sorted(map(str, fields)))}")
    return {field: tuple(value) if isinstance(value, list) else value for field, value in values.items()}
