"""CNN3, the network of three convolutions (original study, section 2), with the improvements of section 4.

Parameters carry the names of the original PyTorch program: `conv_layer1`, `batch_norm1`, ..., `fc1`, ..., in a network
of several columns after `column1.`, `column2.`, ...
"""

import math
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from cnn3.config import ModelConfig, Precision
from cnn3.nn.batch_norm import BatchNormInputs, Moments, batch_norm
from cnn3.nn.layers import Block, xla_block

Mask = Bool[Array, " batch"]
DropoutRate = float | Float[Array, ""]

PIXEL_NORM_EPSILON = 0.01  # added to mean squares, so that pixels where little is seen stay small
MOMENTUM = 0.1  # weight of a new batch in the running statistics, as torch.nn.BatchNorm2d


class Output(NamedTuple):
    """What the network returns for a batch."""

    logits: Float[Array, "batch classes"]
    latent: Float[Array, "batch latent"]  # the last hidden layer, before norm and ReLU (original study, section 7)


def column_prefixes(config: ModelConfig) -> list[str]:
    """Return what the names of each column's layers begin with."""
    return [""] if config.columns == 1 else [f"column{i}." for i in range(1, config.columns + 1)]


def torch_uniform(fan_in: int) -> nn.initializers.Initializer:
    """Return torch.nn's default initialisation of weights and biases, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    bound = fan_in**-0.5

    def init(key: PRNGKeyArray, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class KernelAndBias(nn.Module):
    """Weights and bias of a convolution or a fully connected layer, `shape` being the weights' (inputs first)."""

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self) -> tuple[Array, Array]:
        """Return the weights and the bias."""
        *inputs, features = self.shape
        init = torch_uniform(math.prod(inputs))
        return self.param("kernel", init, self.shape), self.param("bias", init, (features,))


class BatchNorm(nn.Module):
    """Parameters and running statistics of a batch norm; the normalising itself is the layers' work."""

    features: int

    def setup(self) -> None:
        """Start as torch.nn.BatchNorm2d does: scale 1, bias 0, running mean 0, running variance 1."""
        shape = (self.features,)
        self.scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        self.bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        self.var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)

    def norm(self, mask: Mask | None) -> BatchNormInputs:
        """Return what the layers need: the batch's own statistics in training, the running ones otherwise."""
        if mask is None:
            return BatchNormInputs(self.scale, self.bias, Moments(self.mean.value, self.var.value))
        return BatchNormInputs(self.scale, self.bias, (mask / jnp.sum(mask)).astype(self.scale.dtype))

    def update(self, moments: Moments, count: Int[Array, ""]) -> None:
        """Move the running statistics towards those of a batch of `count` values a channel, the variance unbiased."""
        unbiased = moments.var * (count / (count - 1))
        self.mean.value = (1 - MOMENTUM) * self.mean.value + MOMENTUM * moments.mean
        self.var.value = (1 - MOMENTUM) * self.var.value + MOMENTUM * unbiased


class Dropout(nn.Module):
    """Dropout as torch.nn.Dropout, whose rate may be traced, unlike that of Flax's own."""

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"], rate: DropoutRate) -> Float[Array, "*shape"]:
        """Set a share `rate` of the values to zero and divide the others by the share that is kept."""
        kept = jnp.asarray(1 - rate, x.dtype)
        return jnp.where(jax.random.bernoulli(self.make_rng("dropout"), kept, x.shape), x / kept, 0)


def with_mirrored(x: Float[Array, "pairs height width channels"]) -> Float[Array, "pairs height width 2*channels"]:
    """Add to the features of each image those of its mirror image, mirrored back; mirror images are the second half."""
    return jnp.concatenate([x, jnp.roll(x, len(x) // 2, 0)[:, :, ::-1]], -1)


def pixel_norm(x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
    """Divide the features of each pixel by their root mean square."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + PIXEL_NORM_EPSILON)


class CNN3(nn.Module):
    """The network.

    Args:
        config: its shape and improvements.
        discard_last_norm: compute the norm after the last hidden layer and throw its output away, as the original
            program does.
        block: the function that computes convolution, norm, ReLU and pooling.
        precision: of what is multiplied, and of what convolutions return; norms and what they remember are float32.
    """

    config: ModelConfig
    discard_last_norm: bool = False
    block: Block = xla_block
    precision: Precision = "fp32"

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "batch 32 32 3"],
        *,
        train: bool,
        mask: Mask | None = None,
        rate: DropoutRate | None = None,
    ) -> Output:
        """Return logits and latents of normalised images; in training update `batch_stats` and draw `dropout`.

        Args:
            images: normalised.
            train: whether to use the batch's own statistics, and to drop out.
            mask: which images count in a training batch's statistics, the others only fill it up; None is all.
            rate: of dropout in training, as a number that may be traced; None is the configuration's.
        """
        if not train:
            return self._forward(images, None, 0.0)
        mask = jnp.ones(len(images), bool) if mask is None else mask
        return self._forward(images, mask, self.config.dropout if rate is None else rate)

    def _forward(self, images: Float[Array, "batch 32 32 3"], mask: Mask | None, rate: DropoutRate) -> Output:
        columns = [self._column(prefix, images, mask, rate) for prefix in column_prefixes(self.config)]
        if len(columns) == 1:
            return columns[0]
        log_probabilities = jnp.stack([nn.log_softmax(column.logits) for column in columns])
        return Output(jnp.mean(log_probabilities, 0), jnp.concatenate([column.latent for column in columns], -1))

    def _column(
        self, prefix: str, images: Float[Array, "batch 32 32 3"], mask: Mask | None, rate: DropoutRate
    ) -> Output:
        """Return the output of one column, the names of whose layers begin with `prefix`."""
        if not self.config.flip_equivariant:
            return self._classify(prefix, self._features(prefix, images, mask), mask, rate)
        pairs = jnp.concatenate([images, images[:, :, ::-1]])
        pair_mask = None if mask is None else jnp.concatenate([mask, mask])
        output = self._classify(prefix, self._features(prefix, pairs, pair_mask), pair_mask, rate)
        return Output(*(jnp.mean(a.reshape(2, len(images), -1), 0) for a in output))

    def _features(
        self, prefix: str, images: Float[Array, "batch 32 32 3"], mask: Mask | None
    ) -> Float[Array, "batch flat"]:
        """Return the flattened output of the three convolutions."""
        config = self.config
        x = images
        for i, channels in enumerate(config.channels, start=1):
            side = config.kernels[i - 1]
            inputs = self._block_output(x) if i > 1 else x
            kernel, bias = KernelAndBias((side, side, inputs.shape[-1], channels), name=f"{prefix}conv_layer{i}")()
            pool = "none" if config.dense and i < 3 else config.pool
            arrays, window = (self._cast(inputs), self._cast(kernel), bias), config.pool_window
            if config.pool_first:
                a, _ = self.block(*arrays, None, pool, window, False)
                a = self._activate(self._norm(a, mask, f"{prefix}batch_norm{i}"))
            else:
                norm = BatchNorm(channels, name=f"{prefix}batch_norm{i}") if config.batch_norm else None
                a, moments = self.block(*arrays, None if norm is None else norm.norm(mask), pool, window, True)
                if norm is not None and moments is not None and mask is not None:
                    norm.update(moments, jnp.sum(mask) * x.shape[1] * x.shape[2])
            x = jnp.concatenate([x, a], -1) if config.dense and i < 3 else a
        return self._block_output(x).reshape(len(x), -1)

    def _block_output(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width all"]:
        """Return what the next layer gets of a block's features."""
        x = with_mirrored(x) if self.config.flip_equivariant else x
        return pixel_norm(x) if self.config.pixel_norm else x

    def _classify(self, prefix: str, x: Float[Array, "batch flat"], mask: Mask | None, rate: DropoutRate) -> Output:
        """Return the logits, and the last hidden layer before its norm."""
        latent = x
        for i, width in enumerate(self.config.hidden, start=1):
            last = i == len(self.config.hidden)
            latent = self._linear(x, width, f"{prefix}fc{i}")
            normalised = self._norm(latent, mask, f"{prefix}batch_norm{3 + i}")
            x = self._activate(latent if last and self.discard_last_norm else normalised)
            x = Dropout()(x, rate) if isinstance(rate, Array) or rate else x
        logits = self._linear(x, self.config.classes, f"{prefix}fc{len(self.config.hidden) + 1}")
        return Output(logits, latent)

    def _linear(self, x: Float[Array, "batch inputs"], features: int, name: str) -> Float[Array, "batch features"]:
        kernel, bias = KernelAndBias((x.shape[-1], features), name=name)()
        return jnp.matmul(self._cast(x), self._cast(kernel), preferred_element_type=bias.dtype) + bias

    def _cast(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x.astype(jnp.bfloat16) if self.precision == "bf16" else x

    def _activate(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return {"relu": nn.relu, "gelu": partial(nn.gelu, approximate=False)}[self.config.activation](x)

    def _norm(
        self, x: Float[Array, "batch *pixels features"], mask: Mask | None, name: str
    ) -> Float[Array, "batch *pixels features"]:
        if not self.config.batch_norm:
            return x
        norm = BatchNorm(x.shape[-1], name=name)
        y, moments = batch_norm(x, norm.norm(mask))
        if moments is not None and mask is not None:
            norm.update(moments, jnp.sum(mask) * math.prod(x.shape[1:-1]))
        return y
