"""The latent space (original study, section 7): the 128 values before the output layer, their embedding in the plane by
t-SNE, and measures of how well they separate the classes.
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

PERPLEXITY, ITERATIONS = 40, 2500  # original study, eval.py, line 108
EARLY_EXAGGERATION = 1.0
NEIGHBORS = 10

Latents = Float[np.ndarray, "n latent"]
Embedding = Float[np.ndarray, "n 2"]
Labels = Int[np.ndarray, " n"]


class Separability(NamedTuple):
    """How well a latent space separates the classes: 1 is the best value of each measure.

    Args:
        neighbours: accuracy of classifying each point by a vote of its `NEIGHBORS` nearest neighbours.
        probe: accuracy on the second half of the points of a linear classifier fitted to the first half.
        silhouette: mean of (b - a) / max(a, b), where a is a point's mean distance to its own class and b to the
            nearest other class (P. Rousseeuw, Silhouettes, 1987); from -1 to 1.
    """

    neighbours: float
    probe: float
    silhouette: float


def compute_latents(
    model: CNN3, weights: Weights, images: UInt8[np.ndarray, "n 32 32 3"], *, training_mode: bool = False
) -> Latents:
    """Return the output of the last hidden layer, before its norm.

    Args:
        model: the network.
        weights: its weights.
        images: taken in order, in batches of 64 if `training_mode`.
        training_mode: normalise by the statistics of each batch, and apply dropout, as the original program does for
            all but the best weights (eval.py, lines 80 to 98).
    """
    if training_mode:
        return np.asarray(_latents_in_training_mode(model, weights, images))
    return np.asarray(predict(model, EVALUATION_BATCH, weights, images).latent)


@partial(jax.jit, static_argnums=0, compiler_options=COMPILER_OPTIONS)
def _latents_in_training_mode(
    model: CNN3, weights: Weights, images: UInt8[Array, "n 32 32 3"]
) -> Float[Array, "n latent"]:
    """Return the latents of batches in order; padding of the last one is masked out."""
    count = len(images)
    batches = -(-count // EVALUATION_BATCH)

    def batch_latents(step: Int[Array, ""]) -> Float[Array, "batch latent"]:
        positions = step * EVALUATION_BATCH + jnp.arange(EVALUATION_BATCH)
        key = jax.random.fold_in(random_key(SEED), step)
        return forward(model, weights, images[jnp.minimum(positions, count - 1)], key, positions < count)[0].latent

    return lax.map(batch_latents, jnp.arange(batches)).reshape(batches * EVALUATION_BATCH, -1)[:count]


def tsne(values: Latents, init: Embedding | None = None) -> Embedding:
    """Return the t-SNE embedding of latents in the plane (original study, section 7; eval.py, line 108).

    Perplexity 40, 2,500 iterations and seed 3136; what the original study leaves open is scikit-learn's default.

    Args:
        values: the latents, more than 40 of them.
        init: initial positions; None means the first two principal components, as in the original study. With the
            embedding of other latents of the same points, the result changes only as much as the new latents require,
            so that the two can be compared. Early exaggeration would rearrange the clusters and is then left out
            (factor `EARLY_EXAGGERATION`).
    """
    from sklearn.manifold import TSNE

    options: dict[str, Any] = {"init": "pca"}
    if init is not None:
        options = {"init": init.astype(np.float32), "early_exaggeration": EARLY_EXAGGERATION}
    return TSNE(2, perplexity=PERPLEXITY, max_iter=ITERATIONS, random_state=SEED, **options).fit_transform(values)


def measure_separability(values: Latents, labels: Labels) -> Separability:
    """Return how well the classes are separated; distances are Euclidean, the probe's inputs standardised."""
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
    return Separability(
        neighbours=float(np.mean(votes.argmax(1) == labels)),  # a tie goes to the first class
        probe=float(probe.score(values[half:], labels[half:])),
        silhouette=float(silhouette_score(values, labels)),
    )
