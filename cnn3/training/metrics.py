"""Loss and accuracy, summed batch by batch and divided once; and when to stop."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from cnn3.config import Protocol

NO_DIVERGENCE = 2**31 - 1
Labels = Int[Array, " batch"]


class MetricSums(NamedTuple):
    """Metrics of a pass over images, summed."""

    loss: Float[Array, ""]  # over images
    batch_means: Float[Array, ""]  # of the loss, over batches
    correct: Int[Array, ""]
    diverged_at: Int[Array, ""]  # first step whose loss is not finite, NO_DIVERGENCE if there is none


class Metrics(NamedTuple):
    """Cross entropy and accuracy of a pass over images."""

    loss: float
    accuracy: float


def zero_sums() -> MetricSums:
    """Return the metrics of no images."""
    return MetricSums(jnp.float32(0), jnp.float32(0), jnp.int32(0), jnp.int32(NO_DIVERGENCE))


def merge(a: MetricSums, b: MetricSums) -> MetricSums:
    """Return the metrics of both passes."""
    return MetricSums(
        a.loss + b.loss,
        a.batch_means + b.batch_means,
        a.correct + b.correct,
        jnp.minimum(a.diverged_at, b.diverged_at),
    )


def batch_metrics(
    logits: Float[Array, "batch classes"],
    labels: Labels,
    step: Int[Array, ""] | int,
    mask: Bool[Array, " batch"] | None = None,
) -> MetricSums:
    """Return the metrics of one batch; `mask` says which of its images count, None that all do."""
    mask = jnp.ones(len(labels), bool) if mask is None else mask
    losses = jnp.where(mask, optax.softmax_cross_entropy_with_integer_labels(logits, labels), 0)
    mean = jnp.sum(losses) / jnp.sum(mask)
    correct = jnp.sum((jnp.argmax(logits, -1) == labels) & mask, dtype=jnp.int32)
    return MetricSums(
        jnp.sum(losses), mean, correct, jnp.where(jnp.isfinite(mean), NO_DIVERGENCE, step).astype(jnp.int32)
    )


def smoothed_loss(
    logits: Float[Array, "batch classes"],
    labels: Labels,
    smoothing: Float[Array, ""] | float,
    mask: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """Return the mean cross entropy with smoothed labels (Szegedy et al. 2016) of the images in `mask`, None is all."""
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), smoothing)  # type: ignore[arg-type]
    return _mean(optax.softmax_cross_entropy(logits, targets), mask)


def columns_loss(
    mean_log_probabilities: Float[Array, "batch classes"],
    columns: int,
    labels: Labels,
    smoothing: Float[Array, ""] | float,
    mask: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """Return the sum of the `smoothed_loss` of all columns of a network, so that each learns as it would alone.

    The cross entropy is linear in log probabilities, so their mean over the columns is enough.
    """
    targets = optax.smooth_labels(jax.nn.one_hot(labels, mean_log_probabilities.shape[-1]), smoothing)  # type: ignore[arg-type]
    return columns * _mean(-jnp.sum(targets * mean_log_probabilities, -1), mask)


def _mean(losses: Float[Array, " batch"], mask: Bool[Array, " batch"] | None) -> Float[Array, ""]:
    """Return the mean over the images in `mask`, None is all."""
    mask = jnp.ones(len(losses), bool) if mask is None else mask
    return jnp.sum(jnp.where(mask, losses, 0)) / jnp.sum(mask)


def compute_metrics(sums: MetricSums, count: int, batch_size: int, protocol: Protocol) -> Metrics:
    """Return the metrics of `count` images taken in batches of `batch_size`.

    The protocol says whether the original denominators are used (train.py, lines 133-139): the loss over batches,
    the accuracy over batches x batch size.
    """
    batches = -(-count // batch_size)
    loss = float(sums.batch_means) / batches if protocol.mean_of_batch_means else float(sums.loss) / count
    return Metrics(loss, int(sums.correct) / (batches * batch_size if protocol.pad_accuracy else count))


def best_epoch(accuracies: Sequence[float]) -> int:
    """Return the index of the first highest validation accuracy."""
    return max(range(len(accuracies)), key=accuracies.__getitem__)


def out_of_patience(accuracies: Sequence[float], patience: int | None) -> bool:
    """Tell whether validation accuracy has not risen for `patience` epochs (original study, section 3)."""
    return patience is not None and len(accuracies) > 0 and len(accuracies) - 1 - best_epoch(accuracies) >= patience
