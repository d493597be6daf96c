"""Which kernels compute the blocks: the fastest on the platform in use, or those that CNN3_KERNELS names."""

import os

import jax

from cnn3.config import ConfigError, Precision
from cnn3.nn.layers import BLOCKS, Block

# By platform and precision, as measured; for any others it is `plain`.
FASTEST = {("cpu", "fp32"): "winograd", ("gpu", "fp32"): "fused", ("gpu", "bf16"): "fused"}


def default_kernels(precision: Precision = "fp32") -> str:
    """Return the name in `BLOCKS` of the block that is fastest on the platform in use.

    It is never `winograd` in bfloat16: the transforms of Winograd's algorithm would lose too much. The environment
    variable `CNN3_KERNELS` overrides the choice; all of `BLOCKS` give the same results up to rounding.

    Raises:
        ConfigError: the variable is not such a name.
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
