"""Loss and accuracy, their denominators, and early stopping."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn3.config import PROTOCOLS
from cnn3.training.metrics import (
    NO_DIVERGENCE,
    MetricSums,
    batch_metrics,
    best_epoch,
    compute_metrics,
    merge,
    out_of_patience,
    zero_sums,
)


def test_cross_entropy_and_accuracy_follow_their_formulas() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 0.0, 3.0], [1.0, 4.0, 1.0]], np.float32)
    labels = np.array([0, 1, 1], np.int32)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    losses = -np.log(probabilities[np.arange(3), labels])
    sums = batch_metrics(jnp.array(logits), jnp.array(labels), 7)
    np.testing.assert_allclose(sums.loss, losses.sum(), rtol=3e-7)  # two units in the last place; seen: 0
    np.testing.assert_allclose(sums.batch_means, losses.mean(), rtol=3e-7)
    assert int(sums.correct) == 2
    assert int(sums.diverged_at) == NO_DIVERGENCE


def test_the_first_step_with_a_loss_that_is_not_finite_is_recorded() -> None:
    bad = jnp.full((2, 3), jnp.nan)
    labels = jnp.zeros(2, jnp.int32)
    total = zero_sums()
    for step, logits in enumerate([jnp.ones((2, 3)), bad, jnp.ones((2, 3)), bad]):
        total = merge(total, batch_metrics(logits, labels, step))
    assert int(total.diverged_at) == 1


def test_denominators_of_both_protocols() -> None:
    """10,000 images are 156 batches of 64 and one of 16: the original program divides by 157 and 157 * 64."""
    sums = MetricSums(jnp.float32(5000.0), jnp.float32(80.0), jnp.int32(8000), jnp.int32(NO_DIVERGENCE))
    corrected = compute_metrics(sums, 10_000, 64, PROTOCOLS["corrected"])
    published = compute_metrics(sums, 10_000, 64, PROTOCOLS["published"])
    assert corrected.loss == pytest.approx(0.5)
    assert corrected.accuracy == pytest.approx(0.8)
    assert published.loss == pytest.approx(80 / 157)
    assert published.accuracy == pytest.approx(8000 / 10_048)


def original_loop(accuracies: list[float], patience: int) -> tuple[int, int]:
    """Return epochs run and best epoch by the original program's loop (train.py, lines 100 to 151)."""
    best, best_index, waited = 0.0, -1, 0
    for epoch, accuracy in enumerate(accuracies):
        if accuracy > best:
            waited, best, best_index = 0, accuracy, epoch
        else:
            waited += 1
        if waited >= patience:
            return epoch + 1, best_index
    return len(accuracies), best_index


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.integers(1, 12))
def test_early_stopping_is_that_of_the_original_program(table: list[int], patience: int) -> None:
    accuracies = [value / 20 for value in table]
    epochs = 1
    while epochs < len(accuracies) and not out_of_patience(accuracies[:epochs], patience):
        epochs += 1
    assert (epochs, best_epoch(accuracies[:epochs])) == original_loop(accuracies, patience)


def test_training_does_not_stop_before_the_first_epoch() -> None:
    assert not out_of_patience([], 1)
    assert math.isclose(float(zero_sums().loss), 0)
