"""What fully defines a run: frozen dataclasses that validate themselves and round-trip through JSON.

The defaults are those of the original study: the default run of its section 3, the model of section 2, the optimizers
of section 6.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

from cnn3.config_fields import (
    FLOAT32_MAX,
    FLOAT32_MIN,
    ConfigError,
    fields_from_json,
    require,
    require_bool,
    require_int,
    require_number,
    require_widths,
    store_as_float,
)

Pool = Literal["max", "average"]
ProtocolName = Literal["corrected", "published"]
Precision = Literal["fp32", "bf16"]

WITHOUT_MOMENTUM = ("sgd", "rmsprop", "adam", "adamw")  # optimizers

SEED = 3136  # original study, train.py, line 28
LATENT_SIZE = 128  # width of the last hidden layer, the latent space (original study, section 7)


@dataclass(frozen=True)
class ModelConfig:
    """The network's shape (original study, section 2) and the improvements of section 4, which combine freely.

    Args:
        batch_norm: normalise after each convolution and after each hidden fully connected layer.
        dropout: probability of dropping a hidden unit, after each hidden ReLU.
        dense: feed each convolution all earlier feature maps and pool only after the third.
        channels: output channels of the three convolutions.
        hidden: widths of the hidden fully connected layers; the last one is the latent, of width 128.
        pool: how 2x2 windows are reduced.
    """

    batch_norm: bool = False
    dropout: float = 0.0
    dense: bool = False
    channels: tuple[int, int, int] = (256, 128, 64)
    hidden: tuple[int, ...] = (512, LATENT_SIZE)
    pool: Pool = "max"

    def __post_init__(self) -> None:
        """Check the fields."""
        require_bool("batch_norm", self.batch_norm)
        require_number("dropout", self.dropout, "a probability in [0, 1)", 0.0, 1.0, exclude_high=True)
        require_bool("dense", self.dense)
        require_widths("channels", self.channels)
        require(len(self.channels) == 3, "channels", self.channels, "three integers, one for each convolution")
        require_widths("hidden", self.hidden)
        require(
            1 <= len(self.hidden) <= 3 and self.hidden[-1] == LATENT_SIZE,
            "hidden",
            self.hidden,
            f"one to three widths, the last of them {LATENT_SIZE}",
        )
        require(self.pool in get_args(Pool), "pool", self.pool, f"one of {', '.join(get_args(Pool))}")
        store_as_float(self, "dropout")

    @classmethod
    def from_fields(cls, values: object) -> "ModelConfig":
        """Return the configuration with these fields, as `json.loads` returns them.

        Raises:
            ConfigError: `values` is not an object, or a field is missing, unknown or impossible.
        """
        return cls(**fields_from_json(cls, values, "model"))


@dataclass(frozen=True)
class AugmentConfig:
    """How far the random transforms of training images go (original study, section 1.1); see `cnn3.training.augment`.

    Args:
        padding: black pixels on each side before the random 32x32 crop; 0 crops nothing.
        flip: probability of a horizontal flip.
        rotation: largest rotation either way, in degrees.
        shear: largest shear along x either way, in degrees.
        scale: smallest and largest scale factor.
    """

    padding: int = 4
    flip: float = 0.5
    rotation: float = 10.0
    shear: float = 10.0
    scale: tuple[float, float] = (0.8, 1.2)

    def __post_init__(self) -> None:
        """Check the fields; their bounds are those of the fixed-point numbers in `cnn3.training.augment`."""
        require_int("padding", self.padding, 0, 16)
        require_number("flip", self.flip, "a probability in [0, 1]", 0.0, 1.0)
        for name in ("rotation", "shear"):
            require_number(name, getattr(self, name), "a number of degrees from 0 to 25", 0.0, 25.0)
        allowed = "a tuple of the smallest and the largest factor, from 0.75 to 2"
        require(isinstance(self.scale, tuple) and len(self.scale) == 2, "scale", self.scale, allowed)
        for factor in self.scale:
            require_number("scale", factor, allowed, 0.75, 2.0)
        require(self.scale[0] <= self.scale[1], "scale", self.scale, allowed)
        store_as_float(self, "flip", "rotation", "shear")
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))


@dataclass(frozen=True)
class OptimizerConfig:
    """One of the optimizers of the original study (section 6), or AdamW.

    Args:
        name: the update rule, a key of `cnn3.training.optim.UPDATE_RULES`.
        learning_rate: step size.
        momentum: 0 for the optimizers that have none, all of these but `momentum`.
        weight_decay: an L2 penalty, added to the gradient; for `adamw` it is decoupled from the gradient.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 3e-4

    def __post_init__(self) -> None:
        """Check the fields."""
        is_name = isinstance(self.name, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.name)
        require(bool(is_name), "optimizer", self.name, "a name in lower case, as of cnn3.training.optim.UPDATE_RULES")
        positive = f"a number from {FLOAT32_MIN:.3g} to {FLOAT32_MAX:.3g}"
        require_number("learning_rate", self.learning_rate, positive, FLOAT32_MIN, FLOAT32_MAX)
        require_number("momentum", self.momentum, "a number in [0, 1)", 0.0, 1.0, exclude_high=True)
        fixed = self.name in WITHOUT_MOMENTUM
        require(self.momentum == 0 or not fixed, "momentum", self.momentum, f"0 for {self.name}")
        require_number("weight_decay", self.weight_decay, f"a number from 0 to {FLOAT32_MAX:.3g}", 0.0, FLOAT32_MAX)
        store_as_float(self, "learning_rate", "momentum", "weight_decay")


@dataclass(frozen=True)
class Protocol:
    """Which defects of the original program a run repeats; by default none.

    Args:
        discard_last_norm: compute the norm after the last hidden layer and throw its output away (model.py).
        validate_in_training_mode: validate with batch statistics and dropout, updating running statistics (train.py).
        pad_accuracy: divide accuracy by batches x batch size, though the last batch is smaller (train.py, eval.py).
        mean_of_batch_means: average the loss over batches, though the last batch is smaller (train.py, eval.py).
        latents_in_training_mode: compute latents in training mode, except for the best weights (eval.py).
    """

    discard_last_norm: bool = False
    validate_in_training_mode: bool = False
    pad_accuracy: bool = False
    mean_of_batch_means: bool = False
    latents_in_training_mode: bool = False

    def __post_init__(self) -> None:
        """Check the fields."""
        for defect in dataclasses.fields(self):
            require_bool(defect.name, getattr(self, defect.name))


PROTOCOLS: Mapping[ProtocolName, Protocol] = {
    "corrected": Protocol(),
    "published": Protocol(True, True, True, True, True),
}

VARIANTS: Mapping[str, ModelConfig] = {
    "baseline": ModelConfig(),
    "batch_norm": ModelConfig(batch_norm=True),
    "dropout": ModelConfig(dropout=0.2),
    "dense": ModelConfig(dense=True, channels=(128, 64, 32), hidden=(1024, LATENT_SIZE)),
}

OPTIMIZERS: Mapping[str, OptimizerConfig] = {  # original study, section 6 and train.py; AdamW is added
    "sgd": OptimizerConfig("sgd", 1e-4, weight_decay=0.0),
    "momentum": OptimizerConfig("momentum", 1e-4, momentum=0.9, weight_decay=0.0),
    "rmsprop": OptimizerConfig("rmsprop", 1e-4, weight_decay=0.0),
    "adam": OptimizerConfig("adam", 1e-4),
    "adamw": OptimizerConfig("adamw", 1e-4),
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that defines a training run: the same value gives the same result.

    Args:
        model: the network.
        optimizer: the update rule and its hyperparameters.
        augment: how far training images are transformed at random.
        protocol: which defects of the original program are repeated.
        dataset: `cifar10` or `digits`.
        limit: train on the first `limit` training images only; None means all.
        batch_size: images per step.
        epochs: maximum number of epochs.
        patience: stop when validation accuracy has not risen for `patience` epochs.
        snapshots: keep the weights after the epochs with these indices, which count from 0 and must rise; the original
            study keeps those of index 20 (section 7).
        precision: of the products in convolutions and fully connected layers. Weights, statistics and metrics are
            always float32.
        seed: seed of the split, initial weights, order, augmentation and dropout.
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
        """Check the fields."""
        for name, part_type in PART_TYPES.items():
            value = getattr(self, name)
            require(isinstance(value, part_type), name, value, f"a {part_type.__name__}")
        valid = isinstance(self.dataset, str) and re.fullmatch(r"[a-z0-9_]{1,40}", self.dataset) is not None
        require(valid, "dataset", self.dataset, "the name of a data set")
        if self.limit is not None:
            require_int("limit", self.limit, 1)
        require_int("batch_size", self.batch_size, 2)
        require_int("epochs", self.epochs, 1)
        require_int("patience", self.patience, 1)
        indices = isinstance(self.snapshots, tuple) and all(type(e) is int and 0 <= e < 2**31 for e in self.snapshots)
        rising = indices and all(a < b for a, b in pairwise(self.snapshots))
        require(rising, "snapshots", self.snapshots, "a tuple of integers from 0, in rising order")
        require(self.precision in get_args(Precision), "precision", self.precision, "fp32 or bf16")
        require_int("seed", self.seed, 0)

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
        except (ValueError, RecursionError) as error:  # ValueError also for an integer of too many digits
            raise ConfigError(f"a configuration must be JSON: {error}") from None
        values = fields_from_json(cls, _with_added(values), "the configuration")
        parts = {name: part(**fields_from_json(part, values[name], name)) for name, part in PART_TYPES.items()}
        return cls(**{**values, **parts})

    def digest(self) -> str:
        """Return ten hexadecimal digits that identify this configuration.

        Fields that a later version added count only if they differ from what earlier versions did.
        """
        text = json.dumps(_without_added(dataclasses.asdict(self)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


PART_TYPES: Mapping[str, Any] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "protocol": Protocol,
    "augment": AugmentConfig,
}

# Fields added to RunConfig after version 0.4, and what a configuration without them means. These are not defaults: a
# default may change, but not what an old run did.
ADDED_FIELDS: Mapping[str, Any] = {
    "augment": {"padding": 4, "flip": 0.5, "rotation": 10.0, "shear": 10.0, "scale": (0.8, 1.2)},
}


def _with_added(values: object) -> object:
    """Return the fields of a configuration, including those that an earlier version did not write."""
    return {**ADDED_FIELDS, **values} if isinstance(values, dict) else values


def _without_added(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that an earlier version would have written for the same run."""
    return {name: value for name, value in values.items() if name not in ADDED_FIELDS or ADDED_FIELDS[name] != value}
