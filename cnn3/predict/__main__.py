"""Classify image files: print a line for each, with the most probable classes and their probabilities.

An image is cropped to the square in its centre and resized to 32x32, so the object should fill it. Unreadable images
are reported and skipped, and the exit status is then 1.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cnn3 import cli
from cnn3.cli import INT_OPTION, UsageError
from cnn3.config import ConfigError, ProtocolName

PROGRAM = "python -m cnn3.predict"
EXAMPLES = ("docs/pictures/cat.png", "*.jpg --top 1 --weights best.safetensors")

_IMAGES_ARG = tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="")
_WEIGHTS_ARG = tyro.conf.arg(metavar="tuned|flip|FILE", help_behavior_hint="(default: tuned)")
_FROM_FILE = "(default: what the file says)"
_DATASET_ARG = tyro.conf.arg(metavar="NAME|PATH", help_behavior_hint=_FROM_FILE)
_PROTOCOL_ARG = tyro.conf.arg(metavar="{corrected,published}", help_behavior_hint=_FROM_FILE)


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        images: image files of any size, in any common format.
        weights: tuned or flip, which come with cnn3 and are for CIFAR-10, or a safetensors file, such as
            best.safetensors in a run's folder.
        top: number of classes to print, the most probable first; all of them if there are fewer.
        dataset: the data set whose classes to name, for weight files that have no class names: cifar10, cifar100,
            digits, a .npz file or a folder of class folders.
        protocol: the protocol of the training, for weight files that do not record it: published discards the last
            norm.
        json: print a JSON object a line, with the file and the probability of each class.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional, _IMAGES_ARG]
    weights: Annotated[Path | None, _WEIGHTS_ARG] = None
    top: Annotated[int, INT_OPTION] = 3
    dataset: Annotated[str | None, _DATASET_ARG] = None
    protocol: Annotated[ProtocolName | None, _PROTOCOL_ARG] = None
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 1 if an image could not be read, or 2 after any other error. SIGINT and SIGTERM end the
            process, with status 130 and 143.
    """
    cli.tolerate_lost_output()
    try:
        options = parse(args)
    except UsageError as error:
        return cli.report(error)
    # these import JAX, which --help does not need
    from cnn3.data.splits import DataError
    from cnn3.predict.classify import classify_files, to_json, to_text
    from cnn3.runs.interruption import interruptible
    from cnn3.weights.torch_layout import WeightsError

    try:
        form = to_json if options.json else to_text
        with interruptible("interrupted"):
            return classify_files(options.images, options.weights, options.top, options.dataset, options.protocol, form)
    except (ConfigError, DataError, WeightsError) as error:
        return cli.report(error)


def parse(args: Sequence[str] | None) -> Options:
    """Return the options of a command line.

    Raises:
        UsageError: the arguments are not valid.
        SystemExit: the arguments ask for help, which has been printed.
    """
    options = cli.parse(Options, PROGRAM, __doc__ or "", args, EXAMPLES)
    if not options.images:
        raise UsageError(f"name at least one image; see {cli.as_started(PROGRAM)} --help")
    if options.top < 1:
        raise UsageError(f"--top must be at least 1, not {options.top}")
    return options


if __name__ == "__main__":
    sys.exit(main())
