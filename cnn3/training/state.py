"""What training changes and what it does not: the state, and what is fixed when an epoch is compiled."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PRNGKeyArray, UInt8

from cnn3.config import ModelConfig, RunConfig
from cnn3.nn.layers import Block
from cnn3.nn.network import CNN3, column_prefixes
from cnn3.training.optim import (
    Hyperparameters,
    Transform,
    hyperparameters,
    identity,
    make_optimizer,
    nesterov,
    update_rule,
)
from cnn3.training.schedule import is_constant

INT32_SCALAR = jax.ShapeDtypeStruct((), jnp.int32)  # the type of a seed and of an epoch
# XLA's newer code generator for CPUs takes half as long again to compile these programs, which run no faster for it;
# from jaxlib 0.11.1 on it is the only one.
COMPILER_OPTIONS: dict[str, bool | int] = (
    {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11, 1) else {}
)
Images = UInt8[Array, "batch 32 32 3"]


class Weights(NamedTuple):
    """All that the network has learnt."""

    params: dict[str, Any]
    batch_stats: dict[str, Any]


class TrainState(NamedTuple):
    """All that changes in training."""

    weights: Weights
    opt_state: optax.OptState
    average: Weights | None = None  # exponential moving average of the weights, if the run keeps one


class TrainSpec(NamedTuple):
    """What is fixed when an epoch is compiled: all of a run but its numbers and its data.

    Args:
        model: the network.
        transform: the optimizer's transformation of gradients.
        batch_size: images per step.
        decay_kernels_only: whether biases and the scales of norms take no decay.
        averages: whether an average of the weights is kept.
        optimizer: replaces transform, learning rate and decay by an optimizer of the user's own.
    """

    model: CNN3
    transform: Transform
    batch_size: int
    decay_kernels_only: bool = False
    averages: bool = False
    optimizer: optax.GradientTransformation | None = None


def random_key(seed: int | Int[Array, ""]) -> PRNGKeyArray:
    """Return the key of a seed, of JAX's default generator by name: its settings may make another one the default."""
    return jax.random.key(seed, impl="threefry2x32")


def make_train_spec(
    config: RunConfig, block: Block, optimizer: optax.GradientTransformation | None = None
) -> TrainSpec:
    """Return what is fixed when a run's epoch is compiled.

    Args:
        config: of the run.
        block: the function that computes convolution, norm, ReLU and pooling.
        optimizer: the user's own, which the configuration only names.

    Raises:
        ConfigError: there is no such optimizer.
    """
    model = CNN3(config.model, config.protocol.discard_last_norm, block, config.precision)
    transform = identity if optimizer is not None else update_rule(config.optimizer.name).transform
    if config.optimizer.nesterov:
        transform = nesterov
    kernels_only, averages = config.optimizer.decay_kernels_only, config.ema > 0
    return TrainSpec(model, transform, config.batch_size, kernels_only, averages, optimizer)


def without_dropout_rate(model: CNN3) -> CNN3:
    """Return the network whose compiled programs serve all that differ from it in the rate of dropout alone.

    The rate matters in training only, which takes it as a number.
    """
    return model.clone(config=replace(model.config, dropout=0.0))


def make_spec_optimizer(spec: TrainSpec, hyper: Hyperparameters) -> optax.GradientTransformation:
    """Return the run's optimizer; a norm whose output is thrown away is not decayed."""
    if spec.optimizer is not None:
        return spec.optimizer
    config = spec.model.config
    discarded = {f"{prefix}batch_norm{3 + len(config.hidden)}" for prefix in column_prefixes(config)}
    no_decay = frozenset(discarded if spec.model.discard_last_norm else ())
    return make_optimizer(spec.transform, hyper, no_decay, decay_kernels_only=spec.decay_kernels_only)


def init_state(spec: TrainSpec, seed: Int[Array, ""]) -> TrainState:
    """Return the state before the first step."""
    return start_state(spec, init_weights(without_dropout_rate(spec.model).config, seed))


def start_state(spec: TrainSpec, weights: Weights) -> TrainState:
    """Return the state of training that starts from these weights, whose memory it takes."""
    average = jax.tree.map(jnp.copy, weights) if spec.averages else None
    return TrainState(weights, _init_optimizer(spec, weights.params), average)


def evaluated_weights(state: TrainState) -> Weights:
    """Return the weights to evaluate and to keep: the average if there is one."""
    return state.weights if state.average is None else state.average


def state_shapes(spec: TrainSpec) -> TrainState:
    """Return the shapes and types of `init_state`'s result, without computing it."""
    weights = init_weights.eval_shape(without_dropout_rate(spec.model).config, INT32_SCALAR)
    average = weights if spec.averages else None
    return TrainState(weights, _init_optimizer.eval_shape(spec, weights.params), average)


def hyperparameter_shapes(config: RunConfig, steps: int) -> Hyperparameters:
    """Return the shapes and types of a run's numbers; `steps` is the number of steps of an epoch."""
    shapes = jax.tree.map(lambda _: jax.ShapeDtypeStruct((), jnp.float32), hyperparameters(config))
    if is_constant(config.schedule):
        return shapes
    return shapes._replace(learning_rate=jax.ShapeDtypeStruct((steps,), jnp.float32))


HYPERPARAMETER_SHAPES = hyperparameter_shapes(RunConfig(), 1)  # of all runs of the original study


@partial(jax.jit, static_argnums=0)  # compiled at once: array by array takes three times as long
def _init_optimizer(spec: TrainSpec, params: dict[str, Any]) -> optax.OptState:
    """Return the optimizer's state before the first step; its numbers do not matter to it."""
    return make_spec_optimizer(spec, hyperparameters(RunConfig())).init(params)


# It runs once: optimizing it would take several times longer than it does.
@partial(jax.jit, static_argnums=0, compiler_options=COMPILER_OPTIONS | {"xla_backend_optimization_level": 0})
def init_weights(config: ModelConfig, seed: Int[Array, ""]) -> Weights:
    """Return the weights before the first step; how the network computes does not change them."""
    images = jnp.zeros((1, 32, 32, 3), jnp.float32)  # as the weights, also where float64 is the default
    variables: Any = CNN3(config).init(random_key(seed), images, train=False)
    return Weights(variables["params"], variables.get("batch_stats", {}))


def weight_shapes(model: CNN3) -> Weights:
    """Return the shapes and types of a model's weights."""
    return init_weights.eval_shape(model.config, INT32_SCALAR)
