"""Classifying image files: read the weights and the images, and print the most probable classes."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, UInt8

from cnn3 import cli
from cnn3.config import ProtocolName, discards_last_norm
from cnn3.data.image_files import ImageError, read_image
from cnn3.data.loading import class_names
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.runs.compilation import cache_compilations
from cnn3.training.evaluate import EVALUATION_BATCH, predict
from cnn3.weights.pretrained import TUNED, weights_file
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import LoadedModel, load_model

Image = UInt8[np.ndarray, "32 32 3"]


Form = Callable[[Path, Mapping[str, float]], str]  # of a file and the probabilities of its most probable classes


def classify_files(
    paths: Sequence[Path],
    weights: Path | None,
    top: int,
    dataset: str | None,
    protocol: ProtocolName | None,
    form: Form,
) -> int:
    """Print a line for each image file, with its most probable classes.

    Args:
        paths: the image files.
        weights: the file of the weights, or the name of some that come with cnn3; None means those of the tuned run.
        top: number of classes to print.
        dataset: the data set whose classes to name; None means the classes that the file names.
        protocol: the protocol of the training; None means that the file records it.
        form: returns the line of an image file.

    Returns:
        the exit status: 0, or 1 if an image could not be read.

    Raises:
        ConfigError: JAX does not work as cnn3 needs it.
        DataError: there is no such data set.
        WeightsError: as `open_weights` and `classify`.
    """
    check_jax()
    cache_compilations()
    loaded, classes = open_weights(weights_file(weights or Path(TUNED)), dataset, protocol)
    images = list(read_images(paths))
    for (path, _), probabilities in zip(images, classify(loaded, [image for _, image in images]), strict=True):
        print(form(path, most_probable(probabilities, classes, top)))
    return 0 if len(images) == len(paths) else 1


def open_weights(
    path: Path, dataset: str | None = None, protocol: ProtocolName | None = None
) -> tuple[LoadedModel, tuple[str, ...]]:
    """Return the model with its weights, and the names of its classes.

    Raises:
        WeightsError: the file cannot be read, or lacks something that the command line does not supply either.
        DataError: there is no such data set.
    """
    loaded = load_model(path, discard_last_norm=discards_last_norm(protocol), block=default_block())
    classes = loaded.classes if dataset is None else class_names(dataset)
    if classes is None:
        raise WeightsError(f"{path} does not name its classes; name the --dataset of its training")
    if len(classes) != loaded.model.config.classes:
        raise WeightsError(
            f"{path} has {loaded.model.config.classes} classes, not {len(classes)}; name another --dataset"
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


def most_probable(probabilities: Float[np.ndarray, " classes"], classes: Sequence[str], top: int) -> dict[str, float]:
    """Return the probabilities of the `top` most probable classes by name, in falling order."""
    order: list[int] = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return {classes[i]: float(probabilities[i]) for i in order}


def to_text(path: Path, probabilities: Mapping[str, float]) -> str:
    """Return a line for readers, for example `a.png: cat 0.8123, dog 0.1034`."""
    return cli.printable(f"{path}: {', '.join(f'{name} {value:.4f}' for name, value in probabilities.items())}")


def to_json(path: Path, probabilities: Mapping[str, float]) -> str:
    """Return a line for programs, a JSON object with `file` and `probabilities`."""
    return json.dumps({"file": str(path), "probabilities": probabilities})
