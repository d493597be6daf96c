"""The latent space (report, section 7): the 128 values before the output layer, their map to the plane, and numbers for
how far the classes lie apart in it.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from cnn3.config import SEED
from cnn3.nn.network import CNN3
from cnn3.training.evaluate import EVALUATION_BATCH, predict
from cnn3.training.state import COMPILER_OPTIONS, Weights, random_key
from cnn3.training.step import forward

PERPLEXITY, ITERATIONS = 40, 2500  # report, eval.py, line 108
EARLY_EXAGGERATION = 1.0
NEIGHBORS = 10

Latents = Float[np.ndarray, "n latent"]
Map = Float[np.ndarray, "n 2"]
Labels = Int[np.ndarray, " n"]


class Scores(NamedTuple):
    """How far the classes lie apart in a latent space: 1 is the best of each; a guess is right one time in ten.

    Args:
        neighbours: accuracy of naming each point by its `NEIGHBORS` nearest others.
        probe: accuracy of a linear classifier, fitted to the first half of the points, on the second.
        silhouette: mean of (b - a) / max(a, b), a being a point's mean distance to its own class and b to the nearest
            other one (P. Rousseeuw, Silhouettes, 1987); from -1 to 1.
    """

    neighbours: float
    probe: float
    silhouette: float


def latents(
    model: CNN3, weights: Weights, images: UInt8[np.ndarray, "n 32 32 3"], *, training_mode: bool = False
) -> Latents:
    """Return the output of the last hidden layer, before its norm.

    Args:
        model: the network.
        weights: its weights.
        images: in the order that batches are made of.
        training_mode: normalise by the statistics of each batch of 64, and drop out, as the report's program does for
            all but the best weights (eval.py, lines 80 to 98).
    """
    if training_mode:
        return np.asarray(_in_training_mode(model, weights, images))
    return np.asarray(predict(model, EVALUATION_BATCH, weights, images).latent)


@partial(jax.jit, static_argnums=0, compiler_options=COMPILER_OPTIONS)
def _in_training_mode(model: CNN3, weights: Weights, images: UInt8[Array, "n 32 32 3"]) -> Float[Array, "n latent"]:
    """Return the latents of batches in order; in the last one only what is left of the images counts."""
    count = len(images)
    batches = -(-count // EVALUATION_BATCH)

    def batch(step: Int[Array, ""]) -> Float[Array, "batch latent"]:
        positions = step * EVALUATION_BATCH + jnp.arange(EVALUATION_BATCH)
        key = jax.random.fold_in(random_key(SEED), step)
        return forward(model, weights, images[jnp.minimum(positions, count - 1)], key, positions < count)[0].latent

    return lax.map(batch, jnp.arange(batches)).reshape(batches * EVALUATION_BATCH, -1)[:count]


def tsne(values: Latents, start: Map | None = None) -> Map:
    """Return a map to the plane that keeps neighbours together (report, section 7; eval.py, line 108).

    t-SNE with perplexity 40, 2,500 iterations and seed 3136; what the report leaves open is scikit-learn's default.

    Args:
        values: the latents, more than 40 of them.
        start: where the points start; None is their first two principal components, as in the report. A map of other
            latents of the same points: it is then changed as little as the new latents ask for, so that the two can be
            compared. Early exaggeration, which would arrange clusters anew, is left out (factor `EARLY_EXAGGERATION`).
    """
    from sklearn.manifold import TSNE

    begin: dict[str, Any] = {"init": "pca"}
    if start is not None:
        begin = {"init": start.astype(np.float32), "early_exaggeration": EARLY_EXAGGERATION}
    return TSNE(2, perplexity=PERPLEXITY, max_iter=ITERATIONS, random_state=SEED, **begin).fit_transform(values)


def scores(values: Latents, labels: Labels) -> Scores:
    """Return how far the classes lie apart; distances are Euclidean, and the probe's inputs are standardised."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = values.astype(np.float64)
    nearest = NearestNeighbors(n_neighbors=NEIGHBORS).fit(values).kneighbors(return_distance=False)
    votes = np.sum(labels[nearest][:, :, None] == np.arange(labels.max() + 1), 1)
    half = len(labels) // 2
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000)).fit(values[:half], labels[:half])
    return Scores(
        neighbours=float(np.mean(votes.argmax(1) == labels)),  # a tie goes to the first class
        probe=float(probe.score(values[half:], labels[half:])),
        silhouette=float(silhouette_score(values, labels)),
    )
