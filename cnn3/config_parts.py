"""The parts of a run's configuration, each with its checks, and the tables of the original study's choices."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cnn3.config_fields import (
    FLOAT32_MAX,
    FLOAT32_MIN,
    fields_from_json,
    require,
    require_bool,
    require_fraction,
    require_int,
    require_number,
    require_widths,
    store_as_float,
    store_as_tuple,
)

Activation = Literal["relu", "gelu"]
Pool = Literal["max", "average"]
ProtocolName = Literal["corrected", "published"]
ScheduleName = Literal["constant", "linear", "cosine", "one_cycle"]

WITHOUT_MOMENTUM = ("sgd", "rmsprop", "adam", "adamw")  # optimizers
MOMENTUM = {"momentum": 0.9, "muon": 0.95}  # of optimizers (original study, section 6; Jordan et al. 2024)
ONE_CYCLE_WARMUP = 0.3  # as torch.optim.lr_scheduler.OneCycleLR

# Fields added after version 0.4, and what a configuration without them means. These are not defaults: a default may
# change, but not what an old run did.
ADDED_TO_PARTS: Mapping[str, Mapping[str, Any]] = {
    "model": {
        "classes": 10,
        "kernels": (3, 3, 3),
        "pool_window": 2,
        "pool_first": False,
        "activation": "relu",
        "flip_equivariant": False,
        "pixel_norm": False,
        "columns": 1,
    },
    "optimizer": {"nesterov": False, "decay_kernels_only": False, "clip_norm": None},
    "augment": {"cutout": 0},
}

LATENT_SIZE = 128  # width of the last hidden layer, the latent space (original study, section 7)


@dataclass(frozen=True)
class ModelConfig:
    """The network's shape (original study, section 2) and the improvements of section 4, which combine freely.

    Args:
        batch_norm: normalise after each convolution and after each hidden fully connected layer.
        dropout: probability of dropping a hidden unit, after the activation of each hidden layer.
        dense: feed each convolution all earlier feature maps and pool only after the third.
        channels: output channels of the three convolutions.
        hidden: widths of the hidden fully connected layers; the last one is the latent, in the original study of width
            128.
        pool: how windows are reduced.
        pool_window: side of the windows, whose stride is 2: at 3 they overlap.
        kernels: sides of the three convolutions' kernels, in pixels.
        classes: the number of classes, that is of logits.
        pool_first: pool the output of a convolution before it is normalised and activated, not after.
        activation: `relu`, or with `pool_first` also `gelu` (Hendrycks and Gimpel 2016).
        flip_equivariant: apply every layer to the image and to its mirror image, and give the next layer the features
            of both: a group convolution (Cohen and Welling 2016). The logits, a mean, are the same for both images.
            Layers after the first have twice the inputs.
        pixel_norm: divide the features of each pixel by their root mean square after each block (Karras et al. 2018,
            arXiv 1710.10196, section 4.2), so that the contrast of what it shows matters less.
        columns: networks side by side that share nothing but the image (Ciresan et al. 2012, arXiv 1202.2745); each
            layer has the channels above in each of them, so it is one layer of as many groups. Each column has its own
            loss, and the logits are the mean of their log probabilities.
    """

    batch_norm: bool = False
    dropout: float = 0.0
    dense: bool = False
    channels: tuple[int, int, int] = (256, 128, 64)
    hidden: tuple[int, ...] = (512, LATENT_SIZE)
    pool: Pool = "max"
    classes: int = 10
    kernels: tuple[int, int, int] = (3, 3, 3)
    pool_window: int = 2
    pool_first: bool = False
    activation: Activation = "relu"
    flip_equivariant: bool = False
    pixel_norm: bool = False
    columns: int = 1

    def __post_init__(self) -> None:
        """Check the fields."""
        store_as_tuple(self, "channels", "hidden", "kernels")
        require_bool("batch_norm", self.batch_norm)
        require_fraction("dropout", self.dropout)
        require_bool("dense", self.dense)
        require_widths("channels", self.channels)
        require(len(self.channels) == 3, "channels", self.channels, "three integers, one for each convolution")
        require_widths("hidden", self.hidden)
        require(1 <= len(self.hidden) <= 3, "hidden", self.hidden, "one to three widths")
        require(self.pool in get_args(Pool), "pool", self.pool, f"one of {', '.join(get_args(Pool))}")
        require_int("classes", self.classes, 2, 2**16)
        sides = "three integers from 1 to 8"
        require(isinstance(self.kernels, tuple) and len(self.kernels) == 3, "kernels", self.kernels, sides)
        require(all(type(side) is int and 1 <= side <= 8 for side in self.kernels), "kernels", self.kernels, sides)
        require_int("pool_window", self.pool_window, 2, 3)
        require_bool("pool_first", self.pool_first)
        allowed = get_args(Activation) if self.pool_first else ("relu",)
        remedy = " or ".join(allowed) + ("" if self.pool_first else ", unless pool_first is true")
        require(self.activation in allowed, "activation", self.activation, remedy)
        require_bool("flip_equivariant", self.flip_equivariant)
        require_bool("pixel_norm", self.pixel_norm)
        require_int("columns", self.columns, 1, 64)
        store_as_float(self, "dropout")

    @classmethod
    def from_fields(cls, values: object) -> "ModelConfig":
        """Return the configuration with these fields, as `json.loads` returns them, also from an earlier version.

        Raises:
            ConfigError: `values` is not an object, or a field is missing, unknown or impossible.
        """
        values = {**ADDED_TO_PARTS["model"], **values} if isinstance(values, dict) else values
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
        cutout: side in pixels of a square that is blackened at a random place (DeVries and Taylor 2017); 0 is none.
    """

    padding: int = 4
    flip: float = 0.5
    rotation: float = 10.0
    shear: float = 10.0
    scale: tuple[float, float] = (0.8, 1.2)
    cutout: int = 0

    def __post_init__(self) -> None:
        """Check the fields; their bounds are those of the fixed-point numbers in `cnn3.training.augment`."""
        store_as_tuple(self, "scale")
        require_int("padding", self.padding, 0, 16)
        require_number("flip", self.flip, "a probability in [0, 1]", 0.0, 1.0)
        for name in ("rotation", "shear"):
            require_number(name, getattr(self, name), "a number of degrees from 0 to 25", 0.0, 25.0)
        allowed = "a tuple of the smallest and the largest factor, from 0.75 to 2"
        require(isinstance(self.scale, tuple) and len(self.scale) == 2, "scale", self.scale, allowed)
        for factor in self.scale:
            require_number("scale", factor, allowed, 0.75, 2.0)
        require(self.scale[0] <= self.scale[1], "scale", self.scale, allowed)
        require_int("cutout", self.cutout, 0, 32)
        store_as_float(self, "flip", "rotation", "shear")
        object.__setattr__(self, "scale", tuple(map(float, self.scale)))


@dataclass(frozen=True)
class OptimizerConfig:
    """One of the optimizers of the original study (section 6), AdamW or Muon, and what is done to gradients before it.

    Args:
        name: the update rule, a key of `cnn3.training.optim.UPDATE_RULES`.
        learning_rate: step size; the largest one of a schedule.
        momentum: None is 0.9 for `momentum`, 0.95 for `muon`, and 0 for the others of these, which have none.
        weight_decay: an L2 penalty, added to the gradient; for `adamw` and `muon` it is decoupled from the gradient.
        nesterov: whether `momentum` looks ahead (Nesterov 1983), as torch.optim.SGD does with nesterov=True; `muon`
            always does.
        decay_kernels_only: whether weight decay spares biases and the scales of norms.
        clip_norm: gradients whose global norm is larger are scaled down to it; None clips nothing.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float | None = None
    weight_decay: float = 3e-4
    nesterov: bool = False
    decay_kernels_only: bool = False
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        is_name = isinstance(self.name, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", self.name)
        allowed = "a name in lower case, as of cnn3.training.optim.UPDATE_RULES"
        require(bool(is_name), "optimizer.name", self.name, allowed)
        positive = f"a number from {FLOAT32_MIN:.3g} to {FLOAT32_MAX:.3g}"
        require_number("learning_rate", self.learning_rate, positive, FLOAT32_MIN, FLOAT32_MAX)
        if self.momentum is None:
            object.__setattr__(self, "momentum", MOMENTUM.get(self.name, 0.0))
        require_fraction("momentum", self.momentum)
        fixed = self.name in WITHOUT_MOMENTUM
        require(self.momentum == 0 or not fixed, "momentum", self.momentum, f"0 for {self.name}")
        require_number("weight_decay", self.weight_decay, f"a number from 0 to {FLOAT32_MAX:.3g}", 0.0, FLOAT32_MAX)
        require_bool("nesterov", self.nesterov)
        require(not self.nesterov or self.name == "momentum", "nesterov", self.nesterov, f"false for {self.name}")
        require_bool("decay_kernels_only", self.decay_kernels_only)
        if self.clip_norm is not None:
            require_number("clip_norm", self.clip_norm, f"none or {positive}", FLOAT32_MIN, FLOAT32_MAX)
            store_as_float(self, "clip_norm")
        store_as_float(self, "learning_rate", "momentum", "weight_decay")


@dataclass(frozen=True)
class ScheduleConfig:
    """How the learning rate changes from step to step; see `cnn3.training.schedule`.

    Args:
        name: `constant`, `linear` or `cosine` (down to zero, reached after the last step), or `one_cycle` (Smith 2018:
            up from a 25th, then down to almost zero, along half cosines, as torch.optim.lr_scheduler.OneCycleLR).
        warmup: the fraction of all steps in which it rises, from zero on a straight line but for `one_cycle`. None is
            0.3 for `one_cycle` and 0 for the others.
    """

    name: ScheduleName = "constant"
    warmup: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        names = get_args(ScheduleName)
        require(self.name in names, "schedule.name", self.name, f"one of {', '.join(names)}")
        if self.warmup is None:
            object.__setattr__(self, "warmup", ONE_CYCLE_WARMUP if self.name == "one_cycle" else 0.0)
        require_fraction("warmup", self.warmup)
        require(self.name != "one_cycle" or self.warmup != 0, "warmup", self.warmup, "greater than 0 for one_cycle")
        store_as_float(self, "warmup")


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


def discards_last_norm(protocol: ProtocolName | None) -> bool | None:
    """Return whether a protocol throws the output of the last norm away; None, for no protocol, if it is not known."""
    return None if protocol is None else PROTOCOLS[protocol].discard_last_norm


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
