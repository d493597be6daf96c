"""Classify image files: print a line for each, with the most probable classes and their probabilities.

An image is cropped to the square in its centre and resized to 32x32, so the object should fill it. Unreadable images
are reported and skipped, and the exit status is then 1.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro
from jaxtyping import Float, UInt8

from cnn3 import cli
from cnn3.cli import INT_OPTION, UsageError
from cnn3.config import PROTOCOLS, ConfigError, ProtocolName
from cnn3.data.image_files import ImageError, read_image
from cnn3.data.loading import class_names
from cnn3.data.splits import DataError
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.runs.compilation import cache_compilations
from cnn3.training.evaluate import EVALUATION_BATCH, predict
from cnn3.weights.pretrained import TUNED
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import LoadedModel, load_model

PROGRAM = "python -m cnn3.predict"

Image = UInt8[np.ndarray, "32 32 3"]
_IMAGES_ARG = tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="")
_WEIGHTS_ARG = tyro.conf.arg(metavar="FILE", help_behavior_hint="")
_FROM_FILE = "(default: what the file says)"
_DATASET_ARG = tyro.conf.arg(metavar="NAME|PATH", help_behavior_hint=_FROM_FILE)
_PROTOCOL_ARG = tyro.conf.arg(help_behavior_hint=_FROM_FILE)


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        images: image files of any size, in any common format.
        weights: a safetensors file, such as best.safetensors in a run's folder; by default the weights for CIFAR-10
            that come with cnn3.
        top: number of classes to print, the most probable first; all of them if there are fewer.
        dataset: the data set whose classes to name, for weight files that have no class names: cifar10, cifar100,
            digits, a .npz file or a folder of class folders.
        protocol: the protocol of the training, for weight files that do not record it: published discards the last
            norm.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional, _IMAGES_ARG]
    weights: Annotated[Path, _WEIGHTS_ARG] = TUNED
    top: Annotated[int, INT_OPTION] = 3
    dataset: Annotated[str | None, _DATASET_ARG] = None
    protocol: Annotated[ProtocolName | None, _PROTOCOL_ARG] = None


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 1 if an image could not be read, or 2 after any other error.
    """
    try:
        options = parse(args)
        check_jax()
        cache_compilations()
        loaded, classes = open_weights(options)
        images = list(read_images(options.images))
        for (path, _), probabilities in zip(images, classify(loaded, [image for _, image in images]), strict=True):
            print(cli.printable(f"{path}: {describe(probabilities, classes, options.top)}"))
    except (UsageError, ConfigError, DataError, WeightsError) as error:
        print(cli.one_line(error), file=sys.stderr)
        return 2
    return 0 if len(images) == len(options.images) else 1


def parse(args: Sequence[str] | None) -> Options:
    """Return the options of a command line.

    Raises:
        UsageError: the arguments are not valid.
        SystemExit: the arguments ask for help, which has been printed.
    """
    options = cli.parse(Options, PROGRAM, __doc__ or "", args)
    if not options.images:
        raise UsageError(f"name at least one image; see {PROGRAM} --help")
    if options.top < 1:
        raise UsageError(f"--top must be at least 1, not {options.top}")
    return options


def open_weights(options: Options) -> tuple[LoadedModel, tuple[str, ...]]:
    """Return the model with its weights, and the names of its classes.

    Raises:
        WeightsError: the file cannot be read, or lacks something that the command line does not supply either.
        DataError: there is no such data set.
    """
    discard = None if options.protocol is None else PROTOCOLS[options.protocol].discard_last_norm
    loaded = load_model(options.weights, discard_last_norm=discard, block=default_block())
    classes = loaded.classes if options.dataset is None else class_names(options.dataset)
    if classes is None:
        raise WeightsError(f"{options.weights} does not name its classes; name the --dataset of its training")
    if len(classes) != loaded.model.config.classes:
        raise WeightsError(
            f"{options.weights} has {loaded.model.config.classes} classes, not {len(classes)}; name another --dataset"
        )
    return loaded, classes


def read_images(paths: Sequence[Path]) -> Iterator[tuple[Path, Image]]:
    """Yield the images that can be read, and report the others on stderr."""
    for path in paths:
        try:
            yield path, read_image(path)
        except ImageError as error:
            print(cli.one_line(error), file=sys.stderr)


def classify(loaded: LoadedModel, images: Sequence[Image]) -> Float[np.ndarray, "n classes"]:
    """Return the probability of each class for each image.

    Raises:
        WeightsError: they are not finite, because the training of the weights diverged.
    """
    if not images:
        return np.zeros((0, loaded.model.config.classes), np.float32)
    output = predict(loaded.model, min(len(images), EVALUATION_BATCH), loaded.weights, np.stack(images))
    probabilities = np.asarray(jax.nn.softmax(output.logits))
    if not np.isfinite(probabilities).all():
        raise WeightsError("the weights give no finite probabilities; their training has diverged")
    return probabilities


def describe(probabilities: Float[np.ndarray, " classes"], classes: Sequence[str], top: int) -> str:
    """Return the `top` most probable classes with their probabilities, for example `cat 0.8123, dog 0.1034`."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return ", ".join(f"{classes[i]} {probabilities[i]:.4f}" for i in order)


if __name__ == "__main__":
    sys.exit(main())
