"""Weights as safetensors under the names and layouts of the report's PyTorch program.

A PyTorch user can `load_state_dict` what is saved here, and what that program saves can be loaded here.

A file describes itself: its metadata hold the network's shape, whether its last norm is thrown away, and the names of
its classes. Tensors do not tell pooling or a discarded norm, and files are copied without what lies beside them.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from cnn3 import files, safetensors_file
from cnn3.config import ConfigError, ModelConfig
from cnn3.nn.layers import Block, plain
from cnn3.nn.network import CNN3
from cnn3.training.step import SCALAR, Weights, init_weights

Tensors = dict[str, np.ndarray]

COUNTER = "num_batches_tracked"  # torch counts the batches a norm has seen; nothing here depends on it
KEY = "cnn3"  # of the description in a file's metadata
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class WeightsError(Exception):
    """Weights that do not fit the model; the message names the tensor or the file."""


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


def to_torch(model: CNN3, weights: Weights) -> Tensors:
    """Return the weights as PyTorch has them: names, layouts, and the order in which images are flattened."""
    tensors: Tensors = {}
    for tree in weights:
        for layer, leaves in tree.items():
            for leaf, value in leaves.items():
                tensors[f"{layer}.{TORCH_NAMES[leaf]}"] = _torch_layout(model, layer, np.asarray(value))
            if "mean" in leaves:
                tensors[f"{layer}.{COUNTER}"] = np.zeros((), np.int64)
    return tensors


def from_torch(model: CNN3, tensors: Tensors) -> Weights:
    """Return the weights that `to_torch` or a PyTorch `state_dict` holds.

    Raises:
        WeightsError: a tensor is missing, surplus or of another shape.
    """
    expected = weight_shapes(model)
    given = {name: value for name, value in tensors.items() if not name.endswith(f".{COUNTER}")}

    def pick(layer: str, leaf: str, like: jax.ShapeDtypeStruct) -> np.ndarray:
        name = f"{layer}.{TORCH_NAMES[leaf]}"
        if name not in given:
            raise WeightsError(f"{name} is missing")
        value = given.pop(name)
        shape = _torch_layout(model, layer, np.empty(like.shape, np.int8)).shape
        if value.shape != shape:
            raise WeightsError(f"{name} has shape {value.shape}; the model needs {shape}")
        return _own_layout(model, layer, value, like.shape).astype(like.dtype)

    picked = (
        {layer: {leaf: pick(layer, leaf, like) for leaf, like in leaves.items()} for layer, leaves in tree.items()}
        for tree in expected
    )
    weights = Weights(*picked)
    if given:
        raise WeightsError(f"{min(given)} is not part of the model")
    return weights


def weight_shapes(model: CNN3) -> Weights:
    """Return the shapes and types of a model's weights."""
    return init_weights.eval_shape(model.config, SCALAR)


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


def load_model(path: str | Path, *, discard_last_norm: bool | None = None, block: Block = plain) -> Saved:
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


def infer_config(tensors: Tensors) -> ModelConfig:
    """Return the shape of the network whose PyTorch tensors these are.

    Dropout and pooling leave no trace in weights: they are taken to be those of the report's best model, none and max.

    Raises:
        WeightsError, ConfigError: there is no such network.
    """

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in tensors:
            raise WeightsError(f"{name} is missing")
        if tensors[name].ndim != rank:
            raise WeightsError(f"{name} has shape {tensors[name].shape}; it must have {rank} dimensions")
        return tensors[name].shape

    first, second, third = (shape(f"conv_layer{i}.weight", 4) for i in (1, 2, 3))
    linear = max((i for i in range(1, 5) if f"fc{i}.weight" in tensors), default=1)
    return ModelConfig(
        batch_norm="batch_norm1.weight" in tensors,
        dense=second[1] == first[1] + first[0],
        channels=(first[0], second[0], third[0]),
        hidden=tuple(shape(f"fc{i}.weight", 2)[0] for i in range(1, linear)),
    )


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


def _flat_shape(model: CNN3) -> tuple[int, int, int]:
    """Return height, width and channels of what the first fully connected layer sees flattened."""
    side = 16 if model.config.dense else 4
    return side, side, model.config.channels[-1]


def _torch_layout(model: CNN3, layer: str, value: np.ndarray) -> np.ndarray:
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if value.ndim == 2 and layer == "fc1":
        value = value.reshape(*_flat_shape(model), -1).transpose(2, 0, 1, 3).reshape(value.shape)
    return value.T


def _own_layout(model: CNN3, layer: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4:
        return value.transpose(2, 3, 1, 0)
    value = value.T
    if len(shape) == 2 and layer == "fc1":
        height, width, channels = _flat_shape(model)
        assert math.prod((height, width, channels)) == shape[0]
        value = value.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(shape)
    return value
