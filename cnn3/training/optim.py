"""The optimizers of the original study (section 6), with the semantics of torch.optim, and AdamW."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float

from cnn3.config import ConfigError, RunConfig
from cnn3.training.augment import Bounds, bounds


class Hyperparameters(NamedTuple):
    """A run's numbers: traced, so that a sweep over them compiles once.

    Args:
        learning_rate: step size.
        momentum: 0 is none.
        l2: the penalty whose gradient is added, as by `weight_decay` in torch.optim's optimizers other than AdamW.
        decay: of the weights themselves, decoupled from the gradient, as in AdamW (Loshchilov and Hutter 2017).
        dropout: the fraction of hidden units that is dropped; not the optimizer's.
        augment: how far the augmentation goes; not the optimizer's.
    """

    learning_rate: float | Float[Array, ""]
    momentum: float | Float[Array, ""]
    l2: float | Float[Array, ""]
    decay: float | Float[Array, ""]
    dropout: float | Float[Array, ""]
    augment: Bounds


Transform = Callable[[Hyperparameters], optax.GradientTransformation]


def sgd(hyper: Hyperparameters) -> optax.GradientTransformation:
    """Stochastic gradient descent with the momentum of torch.optim.SGD: no dampening, the first gradient whole."""
    return optax.trace(hyper.momentum)  # type: ignore[arg-type]


def rmsprop(_: Hyperparameters) -> optax.GradientTransformation:
    """torch.optim.RMSprop with its defaults: decay 0.99, epsilon added outside the root."""
    return optax.scale_by_rms(decay=0.99, eps=1e-8, eps_in_sqrt=False)


def adam(_: Hyperparameters) -> optax.GradientTransformation:
    """torch.optim.Adam with its defaults: betas 0.9 and 0.999, epsilon outside the root (Kingma and Ba 2014)."""
    return optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)


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
}


def update_rule(name: str) -> UpdateRule:
    """Return the update rule of an optimizer.

    Raises:
        ConfigError: there is no such optimizer.
    """
    if name not in UPDATE_RULES:
        raise ConfigError(f"optimizer must be one of {', '.join(UPDATE_RULES)}, not {name!r}")
    return UPDATE_RULES[name]


def hyperparameters(config: RunConfig) -> Hyperparameters:
    """Return the numbers of a configuration.

    Raises:
        ConfigError: there is no such optimizer.
    """
    optimizer = config.optimizer
    decoupled = update_rule(optimizer.name).decoupled_decay
    l2, decay = (0.0, optimizer.weight_decay) if decoupled else (optimizer.weight_decay, 0.0)
    numbers = optimizer.learning_rate, optimizer.momentum, l2, decay, config.model.dropout
    return Hyperparameters(*numbers, bounds(config.augment))


def make_optimizer(
    transform: Transform, hyper: Hyperparameters, no_decay: frozenset[str] = frozenset()
) -> optax.GradientTransformation:
    """Return the optimizer.

    Args:
        transform: the update rule's.
        hyper: its numbers, concrete or traced.
        no_decay: layers that take no decay because nothing depends on them: torch.optim skips parameters without a
            gradient, so decay must not shrink them either.
    """

    def decayed(params: Any) -> Any:
        return {name: jax.tree.map(lambda _, live=name not in no_decay: live, layer) for name, layer in params.items()}

    add = partial(optax.add_decayed_weights, mask=decayed)
    return optax.chain(
        add(hyper.l2), transform(hyper), add(hyper.decay), optax.scale_by_learning_rate(hyper.learning_rate)
    )
