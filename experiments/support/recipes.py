"""The rows of `experiments.frontier`, and its command line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

import tyro

from cnn3 import VARIANTS, ModelConfig, OptimizerConfig
from experiments.support.options import Options

ORIGINAL = "original recipe"
SMALL, WIDER_3X3 = "Original size, wider late layers, later recipe", "Wider network of 3x3 kernels, later recipe"
MIRRORED = "Original size or half of it, flip-equivariant, GELU"
LARGER_MIRRORED = "Larger network, flip-equivariant, GELU"

STUDY = VARIANTS["batch_norm"]
LATE = ModelConfig(batch_norm=True, channels=(96, 192, 256), hidden=(80,))  # as many parameters, in the convolutions
WIDE_3X3 = ModelConfig(batch_norm=True, channels=(128, 256, 512), dropout=0.1)  # of shapes that CPUs compute fast
POOL_FIRST: dict[str, Any] = {"pool_window": 3, "pool_first": True, "activation": "gelu"}
LATE_GELU = replace(LATE, **POOL_FIRST)
FLIP = replace(LATE_GELU, channels=(64, 136, 180), hidden=(56,), flip_equivariant=True)  # no more parameters than LATE
FLIP_HALF = replace(FLIP, channels=(48, 96, 128), hidden=(40,))  # as much arithmetic as LATE, and half the parameters
FLIP_DROPOUT = replace(FLIP, hidden=(256,), dropout=0.25)  # twice the parameters, hardly more arithmetic
FLIP_HALF_DROPOUT = replace(FLIP_HALF, hidden=(128,), dropout=0.2)
FLIP_WIDE = replace(FLIP_DROPOUT, channels=(64, 224, 352), dropout=0.3)  # the first layer sees three channels only
WIDE = replace(FLIP, channels=(128, 256, 512), hidden=(512,), dropout=0.2, kernels=(5, 5, 3))

NESTEROV = OptimizerConfig("momentum", 0.1, nesterov=True, weight_decay=5e-4, decay_kernels_only=True)
MUON = OptimizerConfig("muon", 3e-3, weight_decay=0.5, decay_kernels_only=True)


class Recipe(NamedTuple):
    """A row: a network and its training; no epochs are those of the original study's tuned run, recipe included."""

    group: str  # in the figure
    model: ModelConfig
    epochs: int | None = None
    cutout: int = 0
    hold_out: bool = True
    optimizer: OptimizerConfig = NESTEROV


RECIPES: Mapping[str, Recipe] = {
    ORIGINAL: Recipe("Original network, original recipe", STUDY),
    **{f"one-cycle-{n}": Recipe("Original network, later recipe", STUDY, n) for n in (5, 10, 20, 40)},
    "regularised-40": Recipe("Original network, later recipe", replace(STUDY, dropout=0.3), 40, cutout=8),
    "late-40": Recipe(SMALL, LATE, 40, cutout=8),
    "late-overlap-40": Recipe(SMALL, replace(LATE, pool_window=3), 40, cutout=8),
    "late-gelu-40": Recipe(f"{SMALL}, GELU", LATE_GELU, 40, cutout=8),
    "late-gelu-cutout-40": Recipe(f"{SMALL}, GELU", LATE_GELU, 40, cutout=16),
    "flip-half-40": Recipe(MIRRORED, FLIP_HALF, 40, cutout=8),
    "flip-40": Recipe(MIRRORED, FLIP, 40, cutout=8),
    "flip-muon-20": Recipe(MIRRORED, FLIP, 20, cutout=8, optimizer=MUON),
    "flip-half-muon-16": Recipe(MIRRORED, replace(FLIP_HALF, pixel_norm=True), 16, cutout=8, optimizer=MUON),
    "flip-half-dropout-16": Recipe(MIRRORED, FLIP_HALF_DROPOUT, 16, cutout=8, optimizer=MUON),
    "flip-dropout-16": Recipe(LARGER_MIRRORED, FLIP_DROPOUT, 16, cutout=8, optimizer=MUON),
    "flip-muon-all-20": Recipe(MIRRORED, FLIP, 20, cutout=8, optimizer=MUON, hold_out=False),
    "flip-dropout-all-16": Recipe(LARGER_MIRRORED, FLIP_DROPOUT, 16, cutout=8, optimizer=MUON, hold_out=False),
    "flip-wide-all-20": Recipe(LARGER_MIRRORED, FLIP_WIDE, 20, cutout=8, optimizer=MUON, hold_out=False),
    "wide-3x3-30": Recipe(WIDER_3X3, WIDE_3X3, 30, cutout=8),
    "wide-3x3-overlap-30": Recipe(WIDER_3X3, replace(WIDE_3X3, pool_window=3), 30, cutout=8),
    **{f"wide-{n}": Recipe(LARGER_MIRRORED, WIDE, n, cutout=8, optimizer=MUON) for n in (20, 60, 120)},
}


@dataclass(frozen=True)
class FrontierOptions(Options):
    """The command line of `experiments.frontier`.

    Args:
        rows: names of the rows to train, by default all; wide-20, wide-60 and wide-120 are for GPUs.
    """

    rows: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROW...", help_behavior_hint="(default: all)")] = tuple(
        RECIPES
    )
