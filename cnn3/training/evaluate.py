"""Evaluation and prediction, each in one compiled call."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from cnn3.nn.network import CNN3, Mask, Output
from cnn3.training.metrics import Labels, MetricSums, batch_metrics, merge, zero_sums
from cnn3.training.state import COMPILER_OPTIONS, Images, Weights
from cnn3.training.step import epoch_key, fori_batches, forward

EVALUATION_BATCH = 64  # original study, eval.py, line 18


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER_OPTIONS)
def evaluate(
    model: CNN3, batch_size: int, weights: Weights, images: Images, labels: Labels, count: Int[Array, ""] | int
) -> MetricSums:
    """Return the metrics of the first `count` images in inference mode; `batch_size` matters to `batch_means` alone.

    The count is traced, so that splits in arrays of one size share a compiled program.
    """

    def body(total: MetricSums, step: Any, positions: Any, mask: Mask) -> MetricSums:
        output, _ = forward(model, weights, images[positions])
        return merge(total, batch_metrics(output.logits, labels[positions], step, mask))

    return fori_batches(body, zero_sums(), count, batch_size)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER_OPTIONS)
def evaluate_in_training_mode(
    model: CNN3,
    batch_size: int,
    weights: Weights,
    images: Images,
    labels: Labels,
    seed: Int[Array, ""],
    epoch: Int[Array, ""],
) -> tuple[Weights, MetricSums]:
    """Evaluate as the original program does: batch statistics, dropout on, in random order.

    Returns:
        the weights with their running statistics moved, and the metrics.
    """
    order_key, steps_key = jax.random.split(jax.random.fold_in(epoch_key(seed, epoch), 1))
    order = jax.random.permutation(order_key, len(labels))

    def body(carry: tuple[Weights, MetricSums], step: Any, positions: Any, mask: Mask) -> tuple[Weights, MetricSums]:
        weights, total = carry
        batch = order[positions]
        output, batch_stats = forward(model, weights, images[batch], jax.random.fold_in(steps_key, step), mask)
        sums = batch_metrics(output.logits, labels[batch], step, mask)
        return weights._replace(batch_stats=batch_stats), merge(total, sums)

    return fori_batches(body, (weights, zero_sums()), len(labels), batch_size)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER_OPTIONS)
def predict(model: CNN3, batch_size: int, weights: Weights, images: Images) -> Output:
    """Return logits and latents of all images, in inference mode."""
    count = len(images)
    batches = -(-count // batch_size)
    positions = jnp.minimum(jnp.arange(batches * batch_size), count - 1).reshape(batches, batch_size)
    output = lax.map(lambda batch: forward(model, weights, images[batch])[0], positions)
    return jax.tree.map(lambda a: a.reshape(batches * batch_size, -1)[:count], output)
