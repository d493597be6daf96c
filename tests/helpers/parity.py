"""What comparing with PyTorch takes: the same network, weights, images and dropout masks on both sides."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import product
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cnn3.config import ModelConfig
from cnn3.data.loading import load
from cnn3.nn.layers import Block
from cnn3.nn.network import CNN3, Dropout
from cnn3.training.metrics import batch_metrics
from cnn3.training.state import Weights
from cnn3.weights.torch_layout import from_torch
from tests.helpers.torch_reference import TorchCNN3, torch

# Two floating-point programs of one formula are compared, so little optimisation proves the same in less time.
QUICK = {"xla_backend_optimization_level": 0}
DROPOUT = jax.random.key(0)


def combinations(sequential: ModelConfig, dense: ModelConfig) -> dict[str, ModelConfig]:
    """Return the improvements of the report's section 4 in all combinations, by name, in shapes like these two."""
    parts = ("batch_norm", "dropout", "dense")
    found = {}
    for chosen in product((False, True), repeat=3):
        name = "+".join(part for part, yes in zip(parts, chosen, strict=True) if yes) or "baseline"
        shape = dense if chosen[2] else sequential
        found[name] = dataclasses.replace(shape, batch_norm=chosen[0], dropout=0.2 if chosen[1] else 0.0)
    return found


def under_protocols(configs: Mapping[str, ModelConfig]) -> list[tuple[str, bool]]:
    """Return names and whether the last norm is thrown away; without norms the two protocols' networks are the same."""
    return [(name, discard) for name, config in configs.items() for discard in {False, config.batch_norm}]


training_digits = cache(lambda: load("digits").train)


def digits(count: int, dtype: Any, *, flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised digits and labels; `flat` ones are all of whole flat regions, the others have noise on them."""
    train = training_digits()
    images = train.images[:count] / 127.5 - 1
    noise = np.random.default_rng(0).normal(0, 0.1, images.shape)
    return (images if flat else images + noise).astype(dtype), train.labels[:count]


def reference(config: ModelConfig, discard: bool, dtype: Any) -> TorchCNN3:
    """Return the network in PyTorch, in training mode, its weights the same in both precisions."""
    torch.manual_seed(0)
    return TorchCNN3(config, discard).to(torch.float64 if dtype == np.float64 else torch.float32).train()


def own(judge: TorchCNN3, block: Block) -> tuple[CNN3, Weights]:
    """Return the reference's model and weights as cnn3 has them, in the same precision."""
    model = CNN3(judge.config, judge.discard_last_norm, block)
    tensors = {name: value.numpy().copy() for name, value in judge.state_dict().items()}
    dtype = tensors["fc1.weight"].dtype
    return model, jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), from_torch(model, tensors))


def nchw(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def kept_units(model: CNN3, weights: Weights, images: np.ndarray) -> list[torch.Tensor]:
    """Return which units of each hidden layer dropout keeps under the key `DROPOUT`."""
    kept: list[Any] = []

    def look(call: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        if not isinstance(context.module, Dropout):
            return call(*args, **kwargs)
        kept.append(call(jnp.ones_like(args[0]), *args[1:]) != 0)
        return args[0]

    def masks(variables: Any, images: Any) -> list[Any]:
        with nn.intercept_methods(look):
            model.apply(variables, images, train=True, mutable=["batch_stats"], rngs={"dropout": DROPOUT})
        return kept

    return [torch.from_numpy(np.array(mask)) for mask in jax.jit(masks)(weights._asdict(), images)]


@partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def loss_and_gradients(model: CNN3, weights: Weights, images: Any, labels: Any) -> Any:
    """Return (loss, next batch_stats), gradients."""

    def loss(params: Any) -> tuple[Any, Any]:
        variables = {"params": params, "batch_stats": weights.batch_stats}
        apply: Any = model.apply
        output, updated = apply(variables, images, train=True, mutable=["batch_stats"], rngs={"dropout": DROPOUT})
        return batch_metrics(output.logits, labels, 0).batch_means, updated.get("batch_stats", {})

    return jax.value_and_grad(loss, has_aux=True)(weights.params)


def judged_loss(
    judge: TorchCNN3, images: np.ndarray, labels: np.ndarray, kept: list[torch.Tensor] | None = None
) -> torch.Tensor:
    logits, _ = judge(nchw(images), kept)
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64)))


def error(ours: Any, theirs: Any) -> float:
    """Return the largest difference, relative to the largest value."""
    return float(np.abs(np.asarray(ours) - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def cancels(name: str, config: ModelConfig, discard: bool) -> bool:
    """Tell a bias in front of a norm: the norm takes it away again, so that its gradient is zero but for rounding."""
    layer, leaf = name.split(".")
    if not config.batch_norm or leaf != "bias" or layer.startswith("batch_norm"):
        return False
    last = len(config.hidden)
    return layer.startswith("conv") or (layer != f"fc{last + 1}" and not (discard and layer == f"fc{last}"))
