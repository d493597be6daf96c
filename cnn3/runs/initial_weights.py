"""Weights that a run starts from instead of those that its seed draws: fine-tuning."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnn3.data.splits import digest_arrays
from cnn3.nn.network import CNN3
from cnn3.training.state import TrainSpec, TrainState, Weights, start_state, weight_shapes
from cnn3.weights.torch_layout import WeightsError


def check_init(model: CNN3, init: Any) -> Weights:
    """Return weights as arrays of NumPy, once they are known to fit the model.

    Raises:
        WeightsError: these are no weights, or a tensor is missing, unknown or of the wrong shape; the message names it.
    """
    if not isinstance(init, Weights):
        raise WeightsError(f"init must be cnn3.Weights, such as load_model(file).weights, not {type(init).__name__}")
    given, expected = _by_name(init), _by_name(weight_shapes(model))
    for name in sorted(given.keys() | expected.keys()):
        if name not in given:
            raise WeightsError(f"init lacks {name}")
        if name not in expected:
            raise WeightsError(f"init has {name}, which is not part of the model")
        if np.shape(given[name]) != expected[name].shape:
            raise WeightsError(
                f"init has {name} of shape {np.shape(given[name])}; the model needs {expected[name].shape}"
            )
    return jax.tree.map(lambda value, shape: np.asarray(value, shape.dtype), init, weight_shapes(model))


def digest_weights(weights: Weights) -> str:
    """Return sixteen hexadecimal digits that identify weights."""
    return digest_arrays(_by_name(weights))[:16]


def state_from(spec: TrainSpec, init: Weights) -> TrainState:
    """Return the state before the first step of a run that starts from given weights."""
    weights = jax.tree.map(jnp.copy, jax.device_put(init))  # into memory of XLA's own, in which an epoch can work
    return start_state(spec, weights)


def _by_name(weights: Weights) -> dict[str, Any]:
    """Return the tensors by names such as `params.conv_layer1.kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
