"""Weights as safetensors files, under the names and layouts of the original study's PyTorch program.

A PyTorch user can `load_state_dict` these files, and files saved by that program can be loaded with cnn3.

A file describes itself, as it may be copied without its run's folder: its metadata hold the model's configuration,
whether its last norm is discarded, and the names of its classes. Tensors do not show pooling or a discarded norm.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from cnn3 import files, safetensors_file
from cnn3.config import ConfigError, ModelConfig
from cnn3.nn.layers import Block, xla_block
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import Tensors, WeightsError, from_torch, infer_config, to_torch

METADATA_KEY = "cnn3"  # of the description in a file's metadata
TORCH_SAVE_MAGIC = (b"PK\x03\x04", b"\x80\x02")  # a zip archive; before PyTorch 1.6 a pickle of protocol 2


class Description(NamedTuple):
    """What a file says about its weights.

    Args:
        model: the model's configuration.
        discard_last_norm: whether the output of the norm after the last hidden layer is thrown away.
        classes: names of the classes, in the order of the logits; None if not known.
    """

    model: ModelConfig
    discard_last_norm: bool
    classes: tuple[str, ...] | None

    def to_json(self) -> str:
        """Return the description as JSON text."""
        return json.dumps({**self._asdict(), "model": dataclasses.asdict(self.model)})

    @classmethod
    def from_json(cls, text: str) -> "Description":
        """Return the description that `to_json` wrote.

        Raises:
            WeightsError: it is damaged.
        """
        try:
            values = json.loads(text)
            model, discard, classes = (values[name] for name in cls._fields)
            strings = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
            if not isinstance(discard, bool) or not (classes is None or strings):
                raise TypeError
            config = ModelConfig.from_fields(model)
            if classes is not None and len(classes) != config.classes:
                raise ValueError
            return cls(config, discard, None if classes is None else tuple(classes))
        except (KeyError, TypeError, ValueError, RecursionError):  # a ConfigError is a ValueError
            raise WeightsError("its description is damaged") from None


class LoadedModel(NamedTuple):
    """A model, its weights, and the names of its classes if the file has them."""

    model: CNN3
    weights: Weights
    classes: tuple[str, ...] | None


def save_weights(path: str | Path, model: CNN3, weights: Weights, classes: Sequence[str] | None = None) -> None:
    """Write weights as a safetensors file that describes itself.

    Args:
        path: where to write the file.
        model: the model.
        weights: its weights.
        classes: names of the classes, in the order of the logits.

    Raises:
        OutputError: the file cannot be written.
        WeightsError: the model has another number of classes.
    """
    if classes is not None and len(classes) != model.config.classes:
        raise WeightsError(f"{path} is not written: {len(classes)} classes for {model.config.classes} logits")
    tensors = {name: np.asarray(value, order="C") for name, value in to_torch(model, weights).items()}
    description = Description(model.config, model.discard_last_norm, None if classes is None else tuple(classes))
    files.write(
        Path(path), _sort_metadata(save(tensors, metadata={"format": "pt", METADATA_KEY: description.to_json()}))
    )


def load_weights(path: str | Path, model: CNN3) -> Weights:
    """Read the weights of `model` from a safetensors file.

    Raises:
        WeightsError: the file is missing, is not a safetensors file, or does not fit the model.
    """
    tensors, _ = _read(path)
    try:
        return from_torch(model, tensors)
    except WeightsError as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None


def load_model(path: str | Path, *, discard_last_norm: bool | None = None, block: Block = xla_block) -> LoadedModel:
    """Read a model and its weights from a safetensors file that `save_weights` or a PyTorch program wrote.

    Args:
        path: the file.
        discard_last_norm: whether to throw the output of the norm after the last hidden layer away, as the original
            program does; None means as the file says. PyTorch's files say nothing, so their configuration is that of
            `infer_config`, and with batch norm this argument is required.
        block: the function that computes convolution, norm, ReLU and pooling.

    Raises:
        WeightsError: the file is missing, is not a safetensors file, fits no model, or requires `discard_last_norm`.
    """
    tensors, text = _read(path)
    try:
        if text is not None:
            config, discard, classes = Description.from_json(text)
        else:
            config, classes = infer_config(tensors), None
            discard = None if config.batch_norm else False
        if discard_last_norm is not None:
            discard = discard_last_norm
        if discard is None:
            raise WeightsError("it does not say whether its last norm is used; name the --protocol of its training")
        model = CNN3(config, discard, block)
        return LoadedModel(model, from_torch(model, tensors), classes)
    except (WeightsError, ConfigError) as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None


def _sort_metadata(content: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted: the library's order varies, and files have checksums.

    A file begins with the length of its header, which is JSON, padded with blanks to a multiple of 8 bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _read(path: str | Path) -> tuple[Tensors, str | None]:
    """Return the tensors of a safetensors file, and its description or None."""
    try:
        tensors, metadata = safetensors_file.read(path)
    except OSError as error:
        raise WeightsError(f"cannot load weights from {path}: {error.strerror}") from None
    except SafetensorError as error:
        raise WeightsError(f"cannot load weights from {path}: {_explain(path, error)}") from None
    except (AttributeError, KeyError) as error:  # of types that NumPy lacks, such as 8-bit floats
        raise WeightsError(f"cannot load weights from {path}: {error}; save them as float32") from None
    return tensors, metadata.get(METADATA_KEY)


def _explain(path: str | Path, error: SafetensorError) -> str:
    """Return what is wrong with a file that is not a safetensors file, and the remedy."""
    remedy = "save a state_dict with safetensors.torch.save_file"
    with open(path, "rb") as file:
        if file.read(4).startswith(TORCH_SAVE_MAGIC):
            return f"it is a file of torch.save, not a safetensors file; {remedy}"
    return f"it is not a safetensors file, or is damaged ({error}); {remedy}"
