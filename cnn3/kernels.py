"""Which kernels compute the blocks here: the fastest on the platform in use, or those that CNN3_KERNELS names."""

import os

import jax

from cnn3.config import ConfigError, Precision
from cnn3.nn.layers import BLOCKS, Block

FASTEST = {("cpu", "fp32"): "winograd", ("gpu", "fp32"): "fused", ("gpu", "bf16"): "fused"}  # as measured; else plain


def default_kernels(precision: Precision = "fp32") -> str:
    """Return which of `BLOCKS` computes the blocks: the fastest on the platform in use.

    In bfloat16 that is never `winograd`: the transforms of Winograd's algorithm would lose too much. The environment
    variable `CNN3_KERNELS` overrides the choice; all of `BLOCKS` give the same results up to rounding.

    Raises:
        ConfigError: the variable names none of them.
    """
    name = os.environ.get("CNN3_KERNELS") or FASTEST.get((jax.default_backend(), precision), "plain")
    if name not in BLOCKS:
        raise ConfigError(f"CNN3_KERNELS must be one of {', '.join(BLOCKS)}, not {name!r}")
    return name


def default_block(precision: Precision = "fp32") -> Block:
    """Return the block that `default_kernels` names.

    Raises:
        ConfigError: as `default_kernels`.
    """
    return BLOCKS[default_kernels(precision)]
