"""The optimizers of report section 6, with the semantics of torch.optim, and AdamW."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Float

from cnn3.config import OptimizerConfig, OptimizerName

Mask = Callable[[optax.Params], Any]


class Hyperparameters(NamedTuple):
    """An optimizer's numbers: traced, so that a sweep over them compiles once."""

    learning_rate: float | Float[Array, ""]
    momentum: float | Float[Array, ""]
    weight_decay: float | Float[Array, ""]


def hyperparameters(config: OptimizerConfig) -> Hyperparameters:
    """Return the numbers of a configuration."""
    return Hyperparameters(config.learning_rate, config.momentum, config.weight_decay)


def l2(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """Add the gradient of the L2 penalty, as torch.optim's `weight_decay` does but for AdamW."""
    return optax.add_decayed_weights(hyper.weight_decay, mask)


def sgd(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """Stochastic gradient descent."""
    return l2(hyper, mask)


def momentum(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """SGD with the momentum of torch.optim.SGD: no dampening, the first gradient whole."""
    return optax.chain(l2(hyper, mask), optax.trace(hyper.momentum))  # type: ignore[arg-type]


def rmsprop(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """torch.optim.RMSprop with its defaults: decay 0.99, epsilon added outside the root."""
    return optax.chain(l2(hyper, mask), optax.scale_by_rms(decay=0.99, eps=1e-8, eps_in_sqrt=False))


def adam(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """torch.optim.Adam with its defaults: betas 0.9 and 0.999, epsilon outside the root (Kingma and Ba 2014)."""
    return optax.chain(l2(hyper, mask), optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8))


def adamw(hyper: Hyperparameters, mask: Mask) -> optax.GradientTransformation:
    """torch.optim.AdamW: Adam with the decay applied beside the gradient (Loshchilov and Hutter 2017)."""
    return optax.chain(optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8), l2(hyper, mask))


DIRECTIONS: Mapping[OptimizerName, Callable[[Hyperparameters, Mask], optax.GradientTransformation]] = {
    "sgd": sgd,
    "momentum": momentum,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}


def make_optimizer(
    name: OptimizerName, hyper: Hyperparameters, frozen: frozenset[str] = frozenset()
) -> optax.GradientTransformation:
    """Return the optimizer.

    Args:
        name: the update rule.
        hyper: its numbers, concrete or traced.
        frozen: layers that take no decay because nothing depends on them: torch.optim skips parameters without a
            gradient, so decay must not shrink them either.
    """

    def decayed(params: Any) -> Any:
        return {name: jax.tree.map(lambda _, live=name not in frozen: live, layer) for name, layer in params.items()}

    return optax.chain(DIRECTIONS[name](hyper, decayed), optax.scale_by_learning_rate(hyper.learning_rate))
