"""Comparison with PyTorch: the same network, weights, images and dropout masks on both sides."""

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
from tests.helpers.compiling import QUICK
from tests.helpers.torch_reference import TorchCNN3, torch

DROPOUT = jax.random.key(0)


def combinations(sequential: ModelConfig, dense: ModelConfig) -> dict[str, ModelConfig]:
    """Return all combinations of the original study's improvements (section 4) by name, in shapes like these two."""
    improvements = ("batch_norm", "dropout", "dense")
    models = {}
    for chosen in product((False, True), repeat=3):
        name = "+".join(name for name, used in zip(improvements, chosen, strict=True) if used) or "baseline"
        shape = dense if chosen[2] else sequential
        models[name] = dataclasses.replace(shape, batch_norm=chosen[0], dropout=0.2 if chosen[1] else 0.0)
    return models


def under_protocols(configs: Mapping[str, ModelConfig]) -> list[tuple[str, bool]]:
    """Return names, and whether the last norm is discarded; without norms, both protocols have the same network."""
    return [(name, discard) for name, config in configs.items() for discard in {False, config.batch_norm}]


training_digits = cache(lambda: load("digits").train)


def digits(count: int, dtype: Any, *, flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised digits and labels; `flat` ones have constant regions, the others added noise."""
    train = training_digits()
    images = train.images[:count] / 127.5 - 1
    noise = np.random.default_rng(0).normal(0, 0.1, images.shape)
    return (images if flat else images + noise).astype(dtype), train.labels[:count]


def reference(config: ModelConfig, discard: bool, dtype: Any) -> TorchCNN3:
    """Return the network in PyTorch, in training mode, its weights the same in both precisions."""
    torch.manual_seed(0)
    return TorchCNN3(config, discard).to(torch.float64 if dtype == np.float64 else torch.float32).train()


def cnn3_copy(torch_model: TorchCNN3, block: Block) -> tuple[CNN3, Weights]:
    """Return the reference's model and weights in cnn3, in the same precision."""
    model = CNN3(torch_model.config, torch_model.discard_last_norm, block)
    tensors = {name: value.numpy().copy() for name, value in torch_model.state_dict().items()}
    dtype = tensors["fc1.weight"].dtype
    return model, jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), from_torch(model, tensors))


def nchw(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def kept_units(model: CNN3, weights: Weights, images: np.ndarray) -> list[torch.Tensor]:
    """Return the mask of units that dropout keeps in each hidden layer under the key `DROPOUT`."""
    kept: list[Any] = []

    def intercept(call: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        if not isinstance(context.module, Dropout):
            return call(*args, **kwargs)
        kept.append(call(jnp.ones_like(args[0]), *args[1:]) != 0)
        return args[0]

    def masks(variables: Any, images: Any) -> list[Any]:
        with nn.intercept_methods(intercept):
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


def reference_loss(
    torch_model: TorchCNN3, images: np.ndarray, labels: np.ndarray, kept: list[torch.Tensor] | None = None
) -> torch.Tensor:
    logits, _ = torch_model(nchw(images), kept)
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64)))


def error(actual: Any, expected: Any) -> float:
    """Return the largest difference, relative to the largest value."""
    return float(np.abs(np.asarray(actual) - expected).max() / max(np.abs(expected).max(), 1e-30))


def is_cancelled_bias(name: str, config: ModelConfig, discard: bool) -> bool:
    """Whether a parameter is a bias before a norm, which removes it, so that its gradient is zero up to rounding."""
    layer, leaf = name.split(".")
    if not config.batch_norm or leaf != "bias" or layer.startswith("batch_norm"):
        return False
    last = len(config.hidden)
    return layer.startswith("conv") or (layer != f"fc{last + 1}" and not (discard and layer == f"fc{last}"))
