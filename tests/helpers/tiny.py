"""Small networks with all parts, quick to compile and run."""

import jax
import jax.numpy as jnp
import numpy as np

from cnn3.config import ModelConfig, RunConfig
from cnn3.nn.network import CNN3
from cnn3.training.state import Weights, weight_shapes

TINY = ModelConfig(batch_norm=True, channels=(4, 4, 4), hidden=(16, 128))

# Tests that need any run with all parts share this one, so that it is compiled once.
SMALL = ModelConfig(batch_norm=True, dropout=0.2, channels=(8, 8, 8), hidden=(32, 128))
SMALL_RUN = RunConfig(SMALL, dataset="digits", limit=150, batch_size=64, epochs=1)


def initial_weights(model: CNN3, seed: int = 0) -> Weights:
    """Return the weights before training."""
    variables = model.init(jax.random.key(seed), jnp.zeros((2, 32, 32, 3)), train=False)
    return jax.tree.map(np.asarray, Weights(variables["params"], variables["batch_stats"]))  # type: ignore[arg-type]


def random_weights(model: CNN3, seed: int = 0) -> Weights:
    """Return weights in which everything counts, running statistics included, without running the network."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), weight_shapes(model))


def trained_weights(model: CNN3, seed: int) -> Weights:
    """Return weights as of a trained network: all of them drawn, with positive running variances."""
    rng = np.random.default_rng(seed)
    return jax.tree.map_with_path(
        lambda path, leaf: rng.uniform(0.5 if path[-1].key == "var" else -1, 1, leaf.shape).astype(np.float32),
        weight_shapes(model),
    )
