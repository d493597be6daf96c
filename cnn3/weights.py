"""Weights as safetensors under the names and layouts of the report's PyTorch program.

A PyTorch user can `load_state_dict` what is saved here, and what that program saves can be loaded here.
"""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cnn3 import files
from cnn3.model import CNN3
from cnn3.train import Weights

Tensors = dict[str, np.ndarray]

COUNTER = "num_batches_tracked"  # torch counts the batches a norm has seen; nothing here depends on it
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class WeightsError(Exception):
    """Weights that do not fit the model; the message names the tensor or the file."""


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
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), np.float32)
    variables: Any = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), images)
    return Weights(variables["params"], variables.get("batch_stats", {}))


def save_weights(path: str | Path, model: CNN3, weights: Weights) -> None:
    """Write the weights as a safetensors file.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: np.ascontiguousarray(value) for name, value in to_torch(model, weights).items()}
    files.write(Path(path), save(tensors, metadata={"format": "pt"}))


def load_weights(path: str | Path, model: CNN3) -> Weights:
    """Read the weights of `model` from a safetensors file.

    Raises:
        WeightsError: the file is missing, is no safetensors file, or does not fit the model.
    """
    try:
        return from_torch(model, load(Path(path).read_bytes()))
    except (OSError, SafetensorError, WeightsError) as error:
        raise WeightsError(f"cannot load weights from {path}: {error}") from None


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
