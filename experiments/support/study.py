"""The settings that the original study compares and several experiments use."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from cnn3 import VARIANTS, ModelConfig

LEARNING_RATES, BATCH_SIZES = (0.01, 0.001, 0.0001), (64, 128, 256)
MIDDLE_EPOCH = 20  # index of the epoch that shows the latent space in the middle of training
BASELINE = "baseline"
BATCH_NORM_DENSE = replace(VARIANTS["dense"], batch_norm=True)


class Group(NamedTuple):
    """A choice of the architecture.

    Args:
        heading: the name of the choice.
        baseline: what the baseline has.
        alternatives: the networks that differ in it, by name.
    """

    heading: str
    baseline: str
    alternatives: Mapping[str, ModelConfig]


GROUPS: Mapping[str, Group] = {
    "channels": Group(
        "Channels of the convolutions",
        "256, 128, 64",
        {
            "channels 64, 128, 256": ModelConfig(channels=(64, 128, 256)),
            "channels 128, 128, 128": ModelConfig(channels=(128, 128, 128)),
        },
    ),
    "layers": Group(
        "Fully connected layers",
        "3: 512, 128, 10",
        {
            "2 layers: 128, 10": ModelConfig(hidden=(128,)),
            "4 layers: 512, 256, 128, 10": ModelConfig(hidden=(512, 256, 128)),
        },
    ),
    "pooling": Group("Pooling", "max", {"average pooling": ModelConfig(pool="average")}),
    "improvements": Group(
        "Improvements and their combinations",
        "none",
        {
            **{name: model for name, model in VARIANTS.items() if name != BASELINE},
            "batch_norm + dropout": replace(VARIANTS["batch_norm"], dropout=0.2),
            "batch_norm + dense": BATCH_NORM_DENSE,
            "dropout + dense": replace(VARIANTS["dense"], dropout=0.2),
            "batch_norm + dropout + dense": replace(BATCH_NORM_DENSE, dropout=0.2),
        },
    ),
}
MODELS = {
    BASELINE: VARIANTS[BASELINE],
    **{name: model for group in GROUPS.values() for name, model in group.alternatives.items()},
}
