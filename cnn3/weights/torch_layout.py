"""Weights under the names and in the layouts of the original study's PyTorch program."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from cnn3.config import ModelConfig
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights, weight_shapes

Tensors = dict[str, np.ndarray]
BATCH_COUNTER = "num_batches_tracked"  # torch counts the batches of each norm; nothing depends on the count
WRAPPERS = {"module.": "torch.nn.DataParallel", "_orig_mod.": "torch.compile"}  # by the prefix that they give names
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


class WeightsError(Exception):
    """Weights that do not fit the model; the message names the tensor or the file."""


def to_torch(model: CNN3, weights: Weights) -> Tensors:
    """Return the weights as PyTorch has them: names, layouts, and the order of flattened features."""
    tensors: Tensors = {}
    for tree in weights:
        for layer, leaves in tree.items():
            for leaf, value in leaves.items():
                tensors[f"{layer}.{TORCH_NAMES[leaf]}"] = _torch_layout(model, layer, np.asarray(value))
            if "mean" in leaves:
                tensors[f"{layer}.{BATCH_COUNTER}"] = np.zeros((), np.int64)
    return tensors


def from_torch(model: CNN3, tensors: Tensors) -> Weights:
    """Return the weights in the result of `to_torch` or in a PyTorch `state_dict`.

    Raises:
        WeightsError: a tensor is missing, unknown or of the wrong shape or type.
    """
    _check_tensors(tensors)
    remaining = {name: value for name, value in tensors.items() if not name.endswith(f".{BATCH_COUNTER}")}

    def take(layer: str, leaf: str, expected: jax.ShapeDtypeStruct) -> np.ndarray:
        name = f"{layer}.{TORCH_NAMES[leaf]}"
        if name not in remaining:
            raise WeightsError(f"{name} is missing")
        value = remaining.pop(name)
        shape = _torch_layout(model, layer, np.empty(expected.shape, np.int8)).shape
        if value.shape != shape:
            raise WeightsError(f"{name} has shape {value.shape}; the model needs {shape}")
        return _jax_layout(model, layer, value, expected.shape).astype(expected.dtype)

    trees = (
        {layer: {leaf: take(layer, leaf, shape) for leaf, shape in leaves.items()} for layer, leaves in tree.items()}
        for tree in weight_shapes(model)
    )
    weights = Weights(*trees)
    if remaining:
        raise WeightsError(f"{min(remaining)} is not part of the model")
    return weights


def infer_config(tensors: Tensors) -> ModelConfig:
    """Return the configuration of the network that has these PyTorch tensors.

    Tensors do not show dropout, pooling and activation: they are taken from the original study's best model.

    Raises:
        WeightsError, ConfigError: no network has such tensors.
    """
    _check_tensors(tensors)

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
        classes=shape(f"fc{linear}.weight", 2)[0],
        kernels=(first[2], second[2], third[2]),
    )


def _check_tensors(tensors: Tensors) -> None:
    """Make sure that tensors have the names of a bare model, and are floating-point numbers.

    Raises:
        WeightsError: they have not, or are not.
    """
    for prefix, wrapper in WRAPPERS.items():
        if any(name.startswith(prefix) for name in tensors):
            raise WeightsError(f"names begin with {prefix}, which {wrapper} adds; save the state_dict of what it wraps")
    for name, value in tensors.items():
        if not name.endswith(f".{BATCH_COUNTER}") and not jnp.issubdtype(value.dtype, jnp.floating):
            raise WeightsError(f"{name} is of type {value.dtype}; save it as float32")


def _flat_shape(model: CNN3) -> tuple[int, int, int]:
    """Return height, width and channels of the features that the first fully connected layer takes flattened."""
    side = 16 if model.config.dense else 4
    return side, side, model.config.channels[-1] * (2 if model.config.flip_equivariant else 1)


def _is_first_linear(layer: str) -> bool:
    return layer.rpartition(".")[2] == "fc1"  # what is before it names the column


def _torch_layout(model: CNN3, layer: str, value: np.ndarray) -> np.ndarray:
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    if value.ndim == 2 and _is_first_linear(layer):
        value = value.reshape(*_flat_shape(model), -1).transpose(2, 0, 1, 3).reshape(value.shape)
    return value.T


def _jax_layout(model: CNN3, layer: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 4:
        return value.transpose(2, 3, 1, 0)
    value = value.T
    if len(shape) == 2 and _is_first_linear(layer):
        height, width, channels = _flat_shape(model)
        assert math.prod((height, width, channels)) == shape[0]
        value = value.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(shape)
    return value
