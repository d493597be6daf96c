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
    ConfigError,
    fields_from_json,
    require,
    require_bool,
    require_fraction,
    require_int,
    store_as_float,
    store_as_tuple,
)
from cnn3.config_parts import (
    ADDED_TO_PARTS,
    LATENT_SIZE,
    OPTIMIZERS,
    PROTOCOLS,
    VARIANTS,
    AugmentConfig,
    ModelConfig,
    OptimizerConfig,
    Pool,
    Protocol,
    ProtocolName,
    ScheduleConfig,
    discards_last_norm,
)

__all__ = [
    "LATENT_SIZE",
    "OPTIMIZERS",
    "PROTOCOLS",
    "SEED",
    "VARIANTS",
    "AugmentConfig",
    "ConfigError",
    "ModelConfig",
    "OptimizerConfig",
    "Pool",
    "Precision",
    "Protocol",
    "ProtocolName",
    "RunConfig",
    "ScheduleConfig",
    "discards_last_norm",
]

Precision = Literal["fp32", "bf16"]

SEED = 3136  # original study, train.py, line 28


@dataclass(frozen=True)
class RunConfig:
    """Everything that defines a training run: the same value gives the same result.

    Args:
        model: the network.
        optimizer: the update rule and its hyperparameters.
        augment: how far training images are transformed at random.
        schedule: how the learning rate changes.
        protocol: which defects of the original program are repeated.
        dataset: the name of the data set, `Dataset.name`.
        limit: train on the first `limit` training images only; None means all.
        batch_size: images per step.
        epochs: maximum number of epochs.
        patience: stop when validation accuracy has not risen for `patience` epochs; None never stops early.
        snapshots: keep the weights after the epochs with these indices, which count from 0 and must rise; the original
            study keeps those of index 20 (section 7).
        precision: of the products in convolutions and fully connected layers. Weights, statistics and metrics are
            always float32.
        seed: seed of the initial weights, order, augmentation and dropout, and of the split, which `load` draws.
        label_smoothing: the share of each target that is spread over all classes (Szegedy et al. 2016). Metrics are
            those of the labels as they are.
        hold_out: whether the validation images are held out. If not, they are trained on too, and validation accuracy,
            by which the best epoch is chosen, is that of images that training has seen; `patience` must be None.
        ema: decay, from step to step, of an exponential moving average of the weights. If it is not 0, this average
            is what is validated, tested and saved.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    protocol: Protocol = field(default_factory=Protocol)
    dataset: str = "cifar10"
    limit: int | None = None
    batch_size: int = 128
    epochs: int = 150
    patience: int | None = 10
    snapshots: tuple[int, ...] = (20,)
    precision: Precision = "fp32"
    seed: int = SEED
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    label_smoothing: float = 0.0
    ema: float = 0.0
    hold_out: bool = True

    def __post_init__(self) -> None:
        """Check the fields."""
        store_as_tuple(self, "snapshots")
        for name, part_type in PART_TYPES.items():
            value = getattr(self, name)
            require(isinstance(value, part_type), name, value, f"a {part_type.__name__}")
        valid = isinstance(self.dataset, str) and re.fullmatch(r"[a-z0-9_]{1,40}", self.dataset) is not None
        require(valid, "dataset", self.dataset, "the name of a data set")
        if self.limit is not None:
            require_int("limit", self.limit, 1)
        require_int("batch_size", self.batch_size, 2)
        require_int("epochs", self.epochs, 1)
        if self.patience is not None:
            require_int("patience", self.patience, 1)
        indices = isinstance(self.snapshots, tuple) and all(type(e) is int and 0 <= e < 2**31 for e in self.snapshots)
        rising = indices and all(a < b for a, b in pairwise(self.snapshots))
        require(rising, "snapshots", self.snapshots, "a tuple of integers from 0, in rising order")
        require(self.precision in get_args(Precision), "precision", self.precision, "fp32 or bf16")
        require_int("seed", self.seed, 0)
        for name in ("label_smoothing", "ema"):
            require_fraction(name, getattr(self, name))
        store_as_float(self, "label_smoothing", "ema")
        # validation in training mode moves the statistics of the weights themselves, not those of their average
        in_training_mode = self.protocol.validate_in_training_mode
        require(self.ema == 0 or not in_training_mode, "ema", self.ema, "0 where validation is in training mode")
        require_bool("hold_out", self.hold_out)
        stops = "none where no images are held out (hold_out)"
        require(self.hold_out or self.patience is None, "patience", self.patience, stops)

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
    "schedule": ScheduleConfig,
}

# Fields added after version 0.4, and what a configuration without them means; see ADDED_TO_PARTS.
ADDED_FIELDS: Mapping[str, Any] = {
    "augment": {"padding": 4, "flip": 0.5, "rotation": 10.0, "shear": 10.0, "scale": (0.8, 1.2)},
    "schedule": {"name": "constant", "warmup": 0.0},
    "label_smoothing": 0.0,
    "ema": 0.0,
    "hold_out": True,
}


def _with_added(values: object) -> object:
    """Return the fields of a configuration, including those that an earlier version did not write."""
    if not isinstance(values, dict):
        return values
    values = {**ADDED_FIELDS, **values}
    for part, added in ADDED_TO_PARTS.items():
        if isinstance(values.get(part), Mapping):
            values[part] = {**added, **values[part]}
    return values


def _without_added(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that an earlier version would have written for the same run."""
    values = dict(values)
    for part, added in ADDED_TO_PARTS.items():
        values[part] = _without(values[part], added)
    return _without(values, ADDED_FIELDS)


def _without(values: dict[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in added or added[name] != value}
