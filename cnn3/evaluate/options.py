"""The command line of `python -m cnn3.evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from cnn3.cli import INT_OPTION
from cnn3.config import SEED, Precision, ProtocolName

_RUN = tyro.conf.arg(help_behavior_hint="(default: that of the run)")
_SEED = tyro.conf.arg(help_behavior_hint=f"(default: that of the run, else {SEED})")
_PROTOCOL = tyro.conf.arg(metavar="{corrected,published}", help_behavior_hint="(default: what the file says)")
_PRECISION = tyro.conf.arg(metavar="{fp32,bf16}", help_behavior_hint="(default: that of the run, else fp32)")
_LIMIT = tyro.conf.arg(help_behavior_hint="(default: that of the run, else all)")
_DATA_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)")


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        weights: a safetensors file, such as best.safetensors in a run's folder, or tuned or flip, which come with cnn3.
        split: test, or one of the two parts of the training images. Training images are not augmented.
        dataset: the data set: cifar10, cifar100, digits, a .npz file or a folder of class folders.
        data_dir: TFDS's folder, where CIFAR is found or prepared.
        seed: the seed of the run that made the weights: it drew the validation images.
        limit: measure the first N training images only.
        precision: bf16 multiplies in bfloat16.
        protocol: the protocol of the training, for weight files that do not record it: published discards the last
            norm.
        json: print a JSON object.
    """

    weights: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="WEIGHTS")]
    split: Literal["test", "validation", "train"] = "test"
    dataset: Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH"), _RUN] = None
    data_dir: Annotated[Path | None, _DATA_DIR] = None
    seed: Annotated[int | None, INT_OPTION, _SEED] = None
    limit: Annotated[int | None, INT_OPTION, _LIMIT] = None
    precision: Annotated[Precision | None, _PRECISION] = None
    protocol: Annotated[ProtocolName | None, _PROTOCOL] = None
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
