"""A run's data and hyperparameters on the device, where they stay while it trains."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnn3.config import RunConfig
from cnn3.data.dataset import Dataset, Split
from cnn3.training.optim import Hyperparameters, hyperparameters


class DeviceArrays(NamedTuple):
    """What an epoch takes in addition to the state.

    The validation split is padded to the size of the test split if one compiled program evaluates both.
    """

    train: Split
    validation: Split
    validation_count: jax.Array
    hyper: Hyperparameters
    seed: jax.Array


def to_device(config: RunConfig, dataset: Dataset) -> DeviceArrays:
    """Put a run's data and hyperparameters on the device."""
    hyper, seed = jax.tree.map(np.float32, hyperparameters(config)), jnp.int32(config.seed)
    validation, count = dataset.validation, np.int32(len(dataset.validation.labels))
    if not config.protocol.validate_in_training_mode:
        validation = pad_split(validation, eval_size(dataset))
    return jax.device_put(DeviceArrays(dataset.train, validation, count, hyper, seed))  # type: ignore[arg-type]


def eval_size(dataset: Dataset) -> int:
    """Return the number of images to which evaluated splits are padded: that of the larger one."""
    return max(len(dataset.validation.labels), len(dataset.test.labels))


def pad_split(split: Split, size: int) -> Split:
    """Return a split padded with zeros to `size` images."""
    missing = size - len(split.labels)
    return Split(*(np.pad(a, ((0, missing),) + ((0, 0),) * (a.ndim - 1)) for a in split))
