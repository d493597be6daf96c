"""The optimizers of the original study (section 6), with the semantics of torch.optim, AdamW and Muon."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from cnn3.config import ConfigError, RunConfig
from cnn3.training.augment import Bounds, bounds
from cnn3.training.newton_schulz import orthogonalize

MUON_STEP_RMS = 0.2  # about that of Adam's steps (Liu et al. 2025, arXiv 2502.16982, section 2.2)


class Hyperparameters(NamedTuple):
    """A run's numbers: traced, so that a sweep over them compiles once. What is None is left out of the program.

    Args:
        learning_rate: step size; of each step in an epoch if it changes.
        momentum: 0 is none.
        l2: the penalty whose gradient is added, as by `weight_decay` in torch.optim's optimizers other than AdamW.
        decay: of the weights themselves, decoupled from the gradient (AdamW, Loshchilov and Hutter 2017; Muon).
        dropout: the fraction of hidden units that is dropped; not the optimizer's.
        augment: how far the augmentation goes; not the optimizer's.
        clip_norm: the largest global norm of the gradients.
        label_smoothing: the share of each target that is spread over all classes.
        ema: decay of the average of the weights.
    """

    learning_rate: float | Float[Array, "*steps"]
    momentum: float | Float[Array, ""]
    l2: float | Float[Array, ""]
    decay: float | Float[Array, ""]
    dropout: float | Float[Array, ""]
    augment: Bounds
    clip_norm: float | Float[Array, ""] | None = None
    label_smoothing: float | Float[Array, ""] | None = None
    ema: float | Float[Array, ""] | None = None


Transform = Callable[[Hyperparameters], optax.GradientTransformation]


def sgd(hyper: Hyperparameters) -> optax.GradientTransformation:
    """Stochastic gradient descent with the momentum of torch.optim.SGD: no dampening, the first gradient whole."""
    return optax.trace(hyper.momentum)  # type: ignore[arg-type]


def nesterov(hyper: Hyperparameters) -> optax.GradientTransformation:
    """The momentum of torch.optim.SGD with nesterov=True."""
    return optax.trace(hyper.momentum, nesterov=True)  # type: ignore[arg-type]


def identity(_: Hyperparameters) -> optax.GradientTransformation:
    """Gradients as they are."""
    return optax.identity()


def rmsprop(_: Hyperparameters) -> optax.GradientTransformation:
    """torch.optim.RMSprop with its defaults: decay 0.99, epsilon added outside the root."""
    return optax.scale_by_rms(decay=0.99, eps=1e-8, eps_in_sqrt=False)


def adam(_: Hyperparameters) -> optax.GradientTransformation:
    """torch.optim.Adam with its defaults: betas 0.9 and 0.999, epsilon outside the root (Kingma and Ba 2014)."""
    return optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)


def muon(hyper: Hyperparameters) -> optax.GradientTransformation:
    """Muon for kernels (Jordan et al. 2024, kellerjordan.github.io/posts/muon), and Adam for all else.

    A kernel is a matrix from the inputs of a convolution's window, or of a layer, to the outputs. Its step is the
    momentum with all singular values made about one, scaled to the size of Adam's steps, so that one learning rate and
    one decay serve both.
    """

    def matrices(kernels: Any) -> Any:
        return jax.tree.map(lambda k: MuonDimensionNumbers(tuple(range(k.ndim - 1)), k.ndim - 1), kernels)

    def orthogonal(momentum: Any, _: Any) -> Array:
        matrix = momentum.reshape(-1, momentum.shape[-1])
        return MUON_STEP_RMS * math.sqrt(max(matrix.shape)) * orthogonalize(matrix).reshape(momentum.shape)

    def rules(params: Any) -> Any:
        return {layer: {name: "muon" if name == "kernel" else "adam" for name in params[layer]} for layer in params}

    # Without steps of its own it returns the momentum, divided by its norm.
    momentum = scale_by_muon(ns_steps=0, beta=hyper.momentum, weight_dimension_numbers=matrices)
    orthogonalized = optax.chain(momentum, optax.stateless_with_tree_map(orthogonal))
    return optax.partition({"muon": orthogonalized, "adam": adam(hyper)}, rules)


class UpdateRule(NamedTuple):
    """How an optimizer turns gradients into steps.

    Args:
        transform: returns the transformation of gradients, without the learning rate. Optimizers with the same one
            share their compiled epochs.
        decoupled_decay: whether weight decay is applied to the weights themselves, not added to the gradient.
    """

    transform: Transform
    decoupled_decay: bool = False


UPDATE_RULES: dict[str, UpdateRule] = {
    "sgd": UpdateRule(sgd),
    "momentum": UpdateRule(sgd),
    "rmsprop": UpdateRule(rmsprop),
    "adam": UpdateRule(adam),
    "adamw": UpdateRule(adam, decoupled_decay=True),
    "muon": UpdateRule(muon, decoupled_decay=True),
}


def update_rule(name: str) -> UpdateRule:
    """Return the update rule of an optimizer.

    Raises:
        ConfigError: there is no such optimizer.
    """
    if name not in UPDATE_RULES:
        raise ConfigError(f"optimizer.name must be one of {', '.join(UPDATE_RULES)}, not {name!r}")
    return UPDATE_RULES[name]


def hyperparameters(config: RunConfig) -> Hyperparameters:
    """Return the numbers of a configuration, whose optimizer may be one that cnn3 does not know.

    The learning rate is that of the optimizer, the highest if the configuration has a schedule, which `fit` turns into
    one rate for each step.
    """
    optimizer = config.optimizer
    decoupled = optimizer.name in UPDATE_RULES and update_rule(optimizer.name).decoupled_decay
    l2, decay = (0.0, optimizer.weight_decay) if decoupled else (optimizer.weight_decay, 0.0)
    return Hyperparameters(
        learning_rate=optimizer.learning_rate,
        momentum=optimizer.momentum or 0.0,
        l2=l2,
        decay=decay,
        dropout=config.model.dropout,
        augment=bounds(config.augment),
        clip_norm=optimizer.clip_norm,
        label_smoothing=config.label_smoothing or None,
        ema=config.ema or None,
    )


def make_optimizer(
    transform: Transform,
    hyper: Hyperparameters,
    no_decay: frozenset[str] = frozenset(),
    *,
    decay_kernels_only: bool = False,
) -> optax.GradientTransformation:
    """Return the optimizer.

    Args:
        transform: the update rule's.
        hyper: its numbers, concrete or traced.
        decay_kernels_only: whether biases and the scales of norms take no decay.
        no_decay: layers that take no decay because nothing depends on them: torch.optim skips parameters without a
            gradient, so decay must not shrink them either.
    """

    def decayed(params: Any) -> Any:
        return {
            layer: {
                name: layer not in no_decay and (name == "kernel" or not decay_kernels_only) for name in params[layer]
            }
            for layer in params
        }

    add = partial(optax.add_decayed_weights, mask=decayed)
    return optax.chain(
        add(hyper.l2), transform(hyper), add(hyper.decay), optax.scale_by_learning_rate(hyper.learning_rate)
    )
