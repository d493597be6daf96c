"""Classify image files: a line for each, with its most probable classes and their probabilities.

An image is cropped to the square in its centre and resized to 32x32, so what is to be recognised should fill it. One
that cannot be read is told of; the others go on, and the exit status is then 1.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro
from jaxtyping import Float, UInt8

from cnn3 import cli
from cnn3.cli import COUNT, UsageError
from cnn3.config import PROTOCOLS, ConfigError, ProtocolName
from cnn3.data.dataset import CLASS_NAMES
from cnn3.data.image_files import ImageError, read_image
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.nn.network import NUM_CLASSES
from cnn3.runs.compilation import cache_compilations
from cnn3.training.evaluate import EVALUATION_BATCH, predict
from cnn3.weights.pretrained import TUNED
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import Saved, load_model

PROGRAM = "python -m cnn3.predict"

Image = UInt8[np.ndarray, "32 32 3"]
_IMAGES = tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="")
_SHIPPED = tyro.conf.arg(metavar="FILE", help_behavior_hint="")
_FROM_FILE = tyro.conf.arg(help_behavior_hint="(default: what the file says)")


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        images: the files, of any size and common format.
        weights: a safetensors file, as best.safetensors in a run's folder; by default those of CIFAR-10 that come with
            cnn3.
        top: how many classes to print, the most probable first.
        dataset: names the classes, of weights that do not do so themselves.
        protocol: of the training, of weights that do not tell it: published throws the last norm away.
    """

    images: Annotated[tuple[Path, ...], tyro.conf.Positional, _IMAGES]
    weights: Annotated[Path, _SHIPPED] = TUNED
    top: Annotated[int, COUNT] = 3
    dataset: Annotated[Literal["cifar10", "digits"] | None, _FROM_FILE] = None
    protocol: Annotated[ProtocolName | None, _FROM_FILE] = None


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, 1 if some image could not be read, 2 if nothing could be done.
    """
    try:
        options = parse(args)
        check_jax()
        cache_compilations()
        saved, classes = open_weights(options)
        images = dict(read_images(options.images))
        for path, of in zip(images, classify(saved, list(images.values())), strict=True):
            print(f"{path}: {describe(of, classes, options.top)}")
    except (UsageError, ConfigError, WeightsError) as error:
        print(cli.one_line(error), file=sys.stderr)
        return 2
    return 0 if set(images) == set(options.images) else 1


def parse(args: Sequence[str] | None) -> Options:
    """Return the options of a command line.

    Raises:
        UsageError: it cannot be understood.
        SystemExit: it asked for help, which was printed.
    """
    options = cli.parse(Options, PROGRAM, __doc__ or "", args)
    if not options.images:
        raise UsageError(f"name at least one image; see {PROGRAM} --help")
    if not 1 <= options.top <= NUM_CLASSES:
        raise UsageError(f"--top must be a whole number from 1 to {NUM_CLASSES}, not {options.top}")
    return options


def open_weights(options: Options) -> tuple[Saved, tuple[str, ...]]:
    """Return the network, its weights and the names of its classes.

    Raises:
        WeightsError: they cannot be read, or lack what the command line does not tell either.
    """
    discard = None if options.protocol is None else PROTOCOLS[options.protocol].discard_last_norm
    saved = load_model(options.weights, discard_last_norm=discard, block=default_block())
    classes = saved.classes if options.dataset is None else CLASS_NAMES[options.dataset]
    if classes is None:
        raise WeightsError(f"{options.weights} does not name its classes; name the --dataset of its training")
    if len(classes) != NUM_CLASSES:
        raise WeightsError(f"{options.weights} names {len(classes)} classes, not {NUM_CLASSES}; name another --dataset")
    return saved, classes


def read_images(paths: Sequence[Path]) -> Iterator[tuple[Path, Image]]:
    """Yield the images that can be read, and tell of the others."""
    for path in paths:
        try:
            yield path, read_image(path)
        except ImageError as error:
            print(cli.one_line(error), file=sys.stderr)


def classify(saved: Saved, images: Sequence[Image]) -> Float[np.ndarray, "n classes"]:
    """Return the probability of each class for each image.

    Raises:
        WeightsError: they are not finite, which weights of a diverged run bring about.
    """
    if not images:
        return np.zeros((0, NUM_CLASSES), np.float32)
    output = predict(saved.model, min(len(images), EVALUATION_BATCH), saved.weights, np.stack(images))
    probabilities = np.asarray(jax.nn.softmax(output.logits))
    if not np.isfinite(probabilities).all():
        raise WeightsError("the weights give no finite probabilities; their training has diverged")
    return probabilities


def describe(probabilities: Float[np.ndarray, " classes"], classes: Sequence[str], top: int) -> str:
    """Return the `top` most probable classes in words, as `cat 0.8123, dog 0.1034`."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return ", ".join(f"{classes[i]} {probabilities[i]:.4f}" for i in order)


if __name__ == "__main__":
    sys.exit(main())
