"""Training as pure functions: one step, one epoch in one compiled call, and evaluation."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from cnn3.config import ModelConfig, RunConfig
from cnn3.nn.layers import Block
from cnn3.nn.network import CNN3, Counted, Output, Rate
from cnn3.training.augment import augment, normalize
from cnn3.training.metrics import Labels, Sums, add, measure, zero_sums
from cnn3.training.optim import RULES, Hyperparameters, Rule, hyperparameters, make_optimizer

EVALUATION_BATCH = 64  # report, eval.py, line 18
SCALAR = jax.ShapeDtypeStruct((), jnp.int32)  # the type of a seed and of an epoch
NUMBERS = jax.tree.map(lambda _: jax.ShapeDtypeStruct((), jnp.float32), hyperparameters(RunConfig()))
# XLA's newer code generator for CPUs takes half as long again to compile these programs, which run no faster for it;
# from jaxlib 0.11.1 on it is the only one.
COMPILER: dict[str, bool | int] = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11, 1) else {}

Carry = TypeVar("Carry")
Images = UInt8[Array, "batch 32 32 3"]


class Weights(NamedTuple):
    """All that the network has learnt."""

    params: dict[str, Any]
    batch_stats: dict[str, Any]


class TrainState(NamedTuple):
    """All that changes in training."""

    weights: Weights
    opt_state: optax.OptState


class Program(NamedTuple):
    """What is fixed when an epoch is compiled: all of a run but its numbers and its data."""

    model: CNN3
    rule: Rule
    batch_size: int


def random_key(seed: int | Int[Array, ""]) -> PRNGKeyArray:
    """Return the key of a seed, of JAX's default generator by name: its settings may make another one the default."""
    return jax.random.key(seed, impl="threefry2x32")


def make_program(config: RunConfig, block: Block) -> Program:
    """Return what is fixed when a run's epoch is compiled."""
    model = CNN3(config.model, config.protocol.discard_last_norm, block, config.precision)
    return Program(model, RULES[config.optimizer.name], config.batch_size)


def at_any_rate(model: CNN3) -> CNN3:
    """Return the network whose compiled programs serve all that differ from it in the rate of dropout alone.

    The rate matters in training only, which takes it as a number.
    """
    return model.clone(config=replace(model.config, dropout=0.0))


def _optimizer(program: Program, hyper: Hyperparameters) -> optax.GradientTransformation:
    discarded = f"batch_norm{3 + len(program.model.config.hidden)}"
    return make_optimizer(program.rule, hyper, frozenset({discarded} if program.model.discard_last_norm else ()))


def init_state(program: Program, seed: Int[Array, ""]) -> TrainState:
    """Return the state before the first step."""
    weights = init_weights(at_any_rate(program.model).config, seed)
    return TrainState(weights, _init_optimizer(program, weights.params))


def state_shapes(program: Program) -> TrainState:
    """Return the shapes and types of `init_state`'s result, without computing it."""
    weights = init_weights.eval_shape(at_any_rate(program.model).config, SCALAR)
    return TrainState(weights, _init_optimizer.eval_shape(program, weights.params))


@partial(jax.jit, static_argnums=0)  # compiled at once: array by array takes three times as long
def _init_optimizer(program: Program, params: dict[str, Any]) -> optax.OptState:
    """Return the optimizer's state before the first step; its numbers do not matter to it."""
    return _optimizer(program, hyperparameters(RunConfig())).init(params)


# It runs once: optimizing it would take several times longer than it does.
@partial(jax.jit, static_argnums=0, compiler_options=COMPILER | {"xla_backend_optimization_level": 0})
def init_weights(config: ModelConfig, seed: Int[Array, ""]) -> Weights:
    """Return the weights before the first step; how the network computes does not change them."""
    images = jnp.zeros((1, 32, 32, 3), jnp.float32)  # as the weights, also where float64 is the default
    variables: Any = CNN3(config).init(random_key(seed), images, train=False)
    return Weights(variables["params"], variables.get("batch_stats", {}))


def forward(
    model: CNN3,
    weights: Weights,
    images: Images,
    dropout: PRNGKeyArray | None = None,
    counted: Counted | None = None,
    rate: Rate | None = None,
) -> tuple[Output, dict[str, Any]]:
    """Apply the network to raw images: in training mode, with running statistics updated, if `dropout` is a key.

    `counted` says which images count in the batch's statistics; None is all. `rate` is of dropout; None is the
    configuration's.

    Returns:
        logits and latents, and the batch statistics.
    """
    x = normalize(images)
    if dropout is None:
        return model.apply(weights._asdict(), x, train=False), weights.batch_stats  # type: ignore[return-value]
    rngs = {"dropout": dropout}
    apply = partial(model.apply, train=True, counted=counted, rate=rate, rngs=rngs, mutable=["batch_stats"])
    output, updated = apply(weights._asdict(), x)
    return output, updated.get("batch_stats", {})  # type: ignore[return-value]


def train_step(
    program: Program,
    state: TrainState,
    hyper: Hyperparameters,
    images: Images,
    labels: Labels,
    key: PRNGKeyArray,
    step: Int[Array, ""] | int = 0,
    counted: Counted | None = None,
) -> tuple[TrainState, Sums]:
    """Augment a batch, and take one step down the gradient of its mean cross entropy.

    Images that are not `counted` only fill up the batch: the step is that of the others alone. None counts all.

    Returns:
        the next state, and the metrics of the batch before the step.
    """
    augment_key, dropout_key = jax.random.split(key)
    augmented = augment(augment_key, images, hyper.augment)

    def loss(params: dict[str, Any]) -> tuple[Float[Array, ""], tuple[Sums, dict[str, Any]]]:
        weights = state.weights._replace(params=params)
        output, batch_stats = forward(program.model, weights, augmented, dropout_key, counted, hyper.dropout)
        sums = measure(output.logits, labels, step, counted)
        return sums.batch_means, (sums, batch_stats)

    gradients, (sums, batch_stats) = jax.grad(loss, has_aux=True)(state.weights.params)
    updates, opt_state = _optimizer(program, hyper).update(gradients, state.opt_state, state.weights.params)
    params: Any = optax.apply_updates(state.weights.params, updates)
    return TrainState(Weights(params, batch_stats), opt_state), sums


def fold_batches(
    body: Callable[[Carry, Int[Array, ""], Int[Array, " batch"], Counted], Carry],
    carry: Carry,
    count: int | Int[Array, ""],
    batch_size: int,
) -> Carry:
    """Fold `body(carry, step, positions, counted)` over all batches of `count` items.

    The last batch is filled up with items that are not counted: a smaller one would have to be compiled apart, which
    takes as long again.
    """

    def one(step: Int[Array, ""], carry: Carry) -> Carry:
        positions = step * batch_size + jnp.arange(batch_size)
        return body(carry, step, jnp.minimum(positions, count - 1), positions < count)

    return lax.fori_loop(0, -(-count // batch_size), one, carry)


@partial(jax.jit, static_argnums=0, donate_argnums=1, compiler_options=COMPILER)
def train_epoch(
    program: Program,
    state: TrainState,
    hyper: Hyperparameters,
    images: Images,
    labels: Labels,
    seed: Int[Array, ""],
    epoch: Int[Array, ""],
) -> tuple[TrainState, Sums]:
    """Train on every image once, in an order of the epoch's own, as one compiled call.

    `state` is given away: its memory holds the result.
    """
    order_key, steps_key = jax.random.split(_epoch_key(seed, epoch))
    order = jax.random.permutation(order_key, len(labels))

    def body(carry: tuple[TrainState, Sums], step: Any, positions: Any, counted: Counted) -> tuple[TrainState, Sums]:
        state, total = carry
        batch = order[positions]
        key = jax.random.fold_in(steps_key, step)
        state, sums = train_step(program, state, hyper, images[batch], labels[batch], key, step, counted)
        return state, add(total, sums)

    return fold_batches(body, (state, zero_sums()), len(labels), program.batch_size)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER)
def evaluate(
    model: CNN3, batch_size: int, weights: Weights, images: Images, labels: Labels, count: Int[Array, ""] | int
) -> Sums:
    """Return the metrics of the first `count` images in inference mode; `batch_size` matters to `batch_means` alone.

    The count is traced, so that splits in arrays of one size share a compiled program.
    """

    def body(total: Sums, step: Any, positions: Any, counted: Counted) -> Sums:
        output, _ = forward(model, weights, images[positions])
        return add(total, measure(output.logits, labels[positions], step, counted))

    return fold_batches(body, zero_sums(), count, batch_size)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER)
def evaluate_in_training_mode(
    model: CNN3,
    batch_size: int,
    weights: Weights,
    images: Images,
    labels: Labels,
    seed: Int[Array, ""],
    epoch: Int[Array, ""],
) -> tuple[Weights, Sums]:
    """Evaluate as the report's program does: batch statistics, dropout on, in random order.

    Returns:
        the weights with their running statistics moved, and the metrics.
    """
    order_key, steps_key = jax.random.split(jax.random.fold_in(_epoch_key(seed, epoch), 1))
    order = jax.random.permutation(order_key, len(labels))

    def body(carry: tuple[Weights, Sums], step: Any, positions: Any, counted: Counted) -> tuple[Weights, Sums]:
        weights, total = carry
        batch = order[positions]
        output, batch_stats = forward(model, weights, images[batch], jax.random.fold_in(steps_key, step), counted)
        sums = measure(output.logits, labels[batch], step, counted)
        return weights._replace(batch_stats=batch_stats), add(total, sums)

    return fold_batches(body, (weights, zero_sums()), len(labels), batch_size)


def _epoch_key(seed: Int[Array, ""], epoch: Int[Array, ""]) -> PRNGKeyArray:
    return jax.random.fold_in(random_key(seed), epoch)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=COMPILER)
def predict(model: CNN3, batch_size: int, weights: Weights, images: Images) -> Output:
    """Return logits and latents of all images, in inference mode."""
    count = len(images)
    batches = -(-count // batch_size)
    kept = jnp.minimum(jnp.arange(batches * batch_size), count - 1).reshape(batches, batch_size)
    output = lax.map(lambda batch: forward(model, weights, images[batch])[0], kept)
    return jax.tree.map(lambda a: a.reshape(batches * batch_size, -1)[:count], output)
