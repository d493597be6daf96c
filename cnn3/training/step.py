"""Training as pure functions: one step, and one epoch in one compiled call."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from cnn3.nn.network import CNN3, DropoutRate, Mask, Output
from cnn3.training.augment import augment, normalize
from cnn3.training.metrics import Labels, MetricSums, batch_metrics, columns_loss, merge, smoothed_loss, zero_sums
from cnn3.training.optim import Hyperparameters
from cnn3.training.state import (
    COMPILER_OPTIONS,
    Images,
    TrainSpec,
    TrainState,
    Weights,
    make_spec_optimizer,
    random_key,
)

Carry = TypeVar("Carry")


def forward(
    model: CNN3,
    weights: Weights,
    images: Images,
    dropout_key: PRNGKeyArray | None = None,
    mask: Mask | None = None,
    dropout_rate: DropoutRate | None = None,
) -> tuple[Output, dict[str, Any]]:
    """Apply the network to raw images: in training mode, with running statistics updated, if `dropout_key` is a key.

    `mask` says which images count in the batch's statistics; None is all. `dropout_rate` is of dropout; None is the
    configuration's.

    Returns:
        logits and latents, and the batch statistics.
    """
    x = normalize(images)
    if dropout_key is None:
        return model.apply(weights._asdict(), x, train=False), weights.batch_stats  # type: ignore[return-value]
    rngs = {"dropout": dropout_key}
    apply = partial(model.apply, train=True, mask=mask, rate=dropout_rate, rngs=rngs, mutable=["batch_stats"])
    output, updated = apply(weights._asdict(), x)
    return output, updated.get("batch_stats", {})  # type: ignore[return-value]


def train_step(
    spec: TrainSpec,
    state: TrainState,
    hyper: Hyperparameters,
    images: Images,
    labels: Labels,
    key: PRNGKeyArray,
    step: Int[Array, ""] | int = 0,
    mask: Mask | None = None,
) -> tuple[TrainState, MetricSums]:
    """Augment a batch, and take one step down the gradient of its mean cross entropy.

    Images that are not `mask` only fill up the batch: the step is that of the others alone. None counts all.

    Returns:
        the next state, and the metrics of the batch before the step.
    """
    augment_key, dropout_key = jax.random.split(key)
    augmented = augment(augment_key, images, hyper.augment)

    def loss(params: dict[str, Any]) -> tuple[Float[Array, ""], tuple[MetricSums, dict[str, Any]]]:
        weights = state.weights._replace(params=params)
        output, batch_stats = forward(spec.model, weights, augmented, dropout_key, mask, hyper.dropout)
        sums = batch_metrics(output.logits, labels, step, mask)
        smoothing, columns = hyper.label_smoothing, spec.model.config.columns
        if columns > 1:
            objective = columns_loss(output.logits, columns, labels, 0.0 if smoothing is None else smoothing, mask)
        else:
            objective = sums.batch_means if smoothing is None else smoothed_loss(output.logits, labels, smoothing, mask)
        return objective, (sums, batch_stats)

    gradients, (sums, batch_stats) = jax.grad(loss, has_aux=True)(state.weights.params)
    if hyper.clip_norm is not None:
        gradients, _ = optax.clip_by_global_norm(hyper.clip_norm).update(gradients, optax.EmptyState())
    updates, opt_state = make_spec_optimizer(spec, hyper).update(gradients, state.opt_state, state.weights.params)
    params: Any = optax.apply_updates(state.weights.params, updates)
    weights = Weights(params, batch_stats)
    return TrainState(weights, opt_state, _update_average(state.average, weights, hyper)), sums


def _update_average(average: Weights | None, weights: Weights, hyper: Hyperparameters) -> Weights | None:
    """Return the average moved towards the weights, None if there is none."""
    if average is None or hyper.ema is None:
        return average
    moved: Any = optax.incremental_update(weights, average, 1 - hyper.ema)  # type: ignore[arg-type]
    return moved


def fori_batches(
    body: Callable[[Carry, Int[Array, ""], Int[Array, " batch"], Mask], Carry],
    carry: Carry,
    count: int | Int[Array, ""],
    batch_size: int,
) -> Carry:
    """Fold `body(carry, step, positions, counted)` over all batches of `count` items.

    The last batch is filled up with items that are not counted: a smaller one would have to be compiled apart, which
    takes as long again.
    """

    def take_batch(step: Int[Array, ""], carry: Carry) -> Carry:
        positions = step * batch_size + jnp.arange(batch_size)
        return body(carry, step, jnp.minimum(positions, count - 1), positions < count)

    return lax.fori_loop(0, -(-count // batch_size), take_batch, carry)


@partial(jax.jit, static_argnums=0, donate_argnums=1, compiler_options=COMPILER_OPTIONS)
def train_epoch(
    spec: TrainSpec,
    state: TrainState,
    hyper: Hyperparameters,
    images: Images,
    labels: Labels,
    seed: Int[Array, ""],
    epoch: Int[Array, ""],
) -> tuple[TrainState, MetricSums]:
    """Train on every image once, in an order of the epoch's own, as one compiled call.

    `state` is given away: its memory holds the result.
    """
    order_key, steps_key = jax.random.split(epoch_key(seed, epoch))
    order = jax.random.permutation(order_key, len(labels))

    def body(
        carry: tuple[TrainState, MetricSums], step: Any, positions: Any, mask: Mask
    ) -> tuple[TrainState, MetricSums]:
        state, total = carry
        batch = order[positions]
        key = jax.random.fold_in(steps_key, step)
        rates = jnp.asarray(hyper.learning_rate)
        current = hyper._replace(learning_rate=rates[step]) if rates.ndim else hyper
        state, sums = train_step(spec, state, current, images[batch], labels[batch], key, step, mask)
        return state, merge(total, sums)

    return fori_batches(body, (state, zero_sums()), len(labels), spec.batch_size)


def epoch_key(seed: Int[Array, ""], epoch: Int[Array, ""]) -> PRNGKeyArray:
    """Return the key of all that is random in an epoch."""
    return jax.random.fold_in(random_key(seed), epoch)
