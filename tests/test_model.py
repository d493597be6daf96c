"""The network: its parameters, its initialisation, and its numbers against PyTorch's."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnn3.config import VARIANTS, ModelConfig
from cnn3.layers import plain
from cnn3.model import CNN3
from cnn3.train import Weights
from cnn3.weights import from_torch, to_torch, weight_shapes

# By hand: each convolution 9 * inputs * channels + channels, each linear layer inputs * outputs + outputs,
# each norm two a channel.
CONVOLUTIONS = 9 * 3 * 256 + 256 + 9 * 256 * 128 + 128 + 9 * 128 * 64 + 64
LINEAR = 1024 * 512 + 512 + 512 * 128 + 128 + 128 * 10 + 10
NORMS = 2 * (256 + 128 + 64 + 512 + 128)
DENSE_CONVOLUTIONS = 9 * 3 * 128 + 128 + 9 * 131 * 64 + 64 + 9 * 195 * 32 + 32
DENSE_LINEAR = 8192 * 1024 + 1024 + 1024 * 128 + 128 + 128 * 10 + 10
COUNTS = {
    "baseline": CONVOLUTIONS + LINEAR,
    "batch_norm": CONVOLUTIONS + LINEAR + NORMS,
    "dropout": CONVOLUTIONS + LINEAR,
    "dense": DENSE_CONVOLUTIONS + DENSE_LINEAR,
}
SHAPES = {
    **VARIANTS,
    "dense_batch_norm_dropout": dataclasses.replace(VARIANTS["dense"], batch_norm=True, dropout=0.2),
    "narrow_first": ModelConfig(channels=(64, 128, 256)),
    "even": ModelConfig(channels=(128, 128, 128)),
    "two_linear": ModelConfig(hidden=(128,)),
    "four_linear": ModelConfig(hidden=(512, 256, 128)),
    "average_pool": ModelConfig(pool="average", batch_norm=True),
}


def count(weights: Weights) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(weights.params))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_parameters_are_the_reports(variant: str) -> None:
    assert count(weight_shapes(CNN3(VARIANTS[variant]))) == COUNTS[variant]
    assert COUNTS["baseline"] == 967_754


@pytest.mark.parametrize("name", SHAPES)
def test_initial_weights_have_torchs_distribution(name: str) -> None:
    model = CNN3(SHAPES[name])
    variables: Any = model.init(jax.random.key(3), jnp.zeros((2, 32, 32, 3)), train=False)
    for layer, leaves in variables["params"].items():
        if layer.startswith("batch_norm"):
            assert np.all(leaves["scale"] == 1)
            assert np.all(leaves["bias"] == 0)
            continue
        bound = leaves["kernel"][..., 0].size ** -0.5
        for leaf in leaves.values():
            assert np.abs(leaf).max() <= bound
            uniform = stats.uniform(-bound, 2 * bound)
            assert stats.kstest(np.ravel(leaf), uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", [name for name in SHAPES if not SHAPES[name].dropout])
def test_forward_equals_torch(name: str, train: bool, discard: bool) -> None:
    """To 1e-5 of the largest value; the running statistics too."""
    torch = pytest.importorskip("torch")
    from tests.torch_reference import TorchCNN3

    torch.manual_seed(0)
    judge = TorchCNN3(SHAPES[name], discard).train(train)
    for norm in (m for m in judge.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.normal_(norm.bias)
    model = CNN3(SHAPES[name], discard, plain)
    tensors = {k: v.numpy().copy() for k, v in judge.state_dict().items()}
    weights = jax.device_put(from_torch(model, tensors))
    images = jnp.asarray(np.random.default_rng(1).normal(size=(5, 32, 32, 3)), jnp.float32)
    with torch.no_grad():
        logits, latent = judge(torch.from_numpy(np.array(images.transpose(0, 3, 1, 2))))
    apply: Any = model.apply
    if train:
        output, updated = apply(weights._asdict(), images, train=True, mutable=["batch_stats"])
        weights = weights._replace(batch_stats=updated.get("batch_stats", {}))
    else:
        output = apply(weights._asdict(), images, train=False)
    for ours, theirs in zip(output, (logits, latent), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-5 * theirs.abs().max().item())
    ours = to_torch(model, weights)
    for key, value in judge.state_dict().items():
        if "running" in key:
            np.testing.assert_allclose(ours[key], value.numpy(), rtol=1e-5, atol=1e-6)
