"""Weights as safetensors files, under the names and layouts of the original study's PyTorch program.

A PyTorch user can `load_state_dict` what is saved here, and what that program saves can be loaded here.

A file describes itself: its metadata hold the network's shape, whether its last norm is thrown away, and the names of
its classes. Tensors do not tell pooling or a discarded norm, and files are copied without what lies beside them.
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

KEY = "cnn3"  # of the description in a file's metadata


class Description(NamedTuple):
    """What a file says of its weights.

    Args:
        model: the network's shape.
        discard_last_norm: whether the norm after the last hidden layer is computed and thrown away.
        classes: their names, in the order of the logits; None where not known.
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
            named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
            if not isinstance(discard, bool) or not (classes is None or named):
                raise TypeError
            return cls(ModelConfig.from_fields(model), discard, None if classes is None else tuple(classes))
        except (KeyError, TypeError, ValueError, RecursionError):  # a ConfigError is a ValueError
            raise WeightsError("its description is damaged") from None


class Saved(NamedTuple):
    """A network with its weights, and the names of its classes where the file has them."""

    model: CNN3
    weights: Weights
    classes: tuple[str, ...] | None


def save_weights(path: str | Path, model: CNN3, weights: Weights, classes: Sequence[str] | None = None) -> None:
    """Write the weights as a safetensors file that describes itself.

    Args:
        path: of the file.
        model: the network.
        weights: its weights.
        classes: names of the classes, in the order of the logits.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: np.ascontiguousarray(value) for name, value in to_torch(model, weights).items()}
    description = Description(model.config, model.discard_last_norm, None if classes is None else tuple(classes))
    files.write(Path(path), _in_order(save(tensors, metadata={"format": "pt", KEY: description.to_json()})))


def load_weights(path: str | Path, model: CNN3) -> Weights:
    """Read the weights of `model` from a safetensors file.

    Raises:
        WeightsError: the file is missing, is no safetensors file, or does not fit the model.
    """
    tensors, _ = _read(path)
    try:
        return from_torch(model, tensors)
    except WeightsError as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None


def load_model(path: str | Path, *, discard_last_norm: bool | None = None, block: Block = xla_block) -> Saved:
    """Read a network and its weights from a safetensors file that this module or a PyTorch program wrote.

    Args:
        path: of the file.
        discard_last_norm: whether the norm after the last hidden layer is thrown away, as the report's program does;
            None is what the file says. PyTorch's files say nothing: their shape is that of `infer_config`.
        block: the function that computes convolution, norm, ReLU and pooling.

    Raises:
        WeightsError: the file is missing, is no safetensors file, fits no network, or needs `discard_last_norm` and
            was not given it.
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
        return Saved(model, from_torch(model, tensors), classes)
    except (WeightsError, ConfigError) as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its metadata in order: the library's is another each time, and files have digests.

    It begins with the length of its header, which is JSON, filled up with blanks to whole 8 bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _read(path: str | Path) -> tuple[Tensors, str | None]:
    """Return the tensors of a safetensors file, and its description if it has one."""
    try:
        tensors, metadata = safetensors_file.read(path)
    except OSError as error:
        raise WeightsError(f"cannot load weights from {path}: {error.strerror}") from None
    except SafetensorError as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None
    except (AttributeError, KeyError) as error:  # the libraries' answers to types that NumPy has not, as of 8 bits
        raise WeightsError(f"cannot load weights from {path}: {error}; save them as float32") from None
    return tensors, metadata.get(KEY)
