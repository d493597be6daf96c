"""How much arithmetic the network needs, and how much the machine can do: the limit of direct convolution."""

import time
from itertools import pairwise

import jax
import jax.numpy as jnp

from cnn3.config import ModelConfig
from cnn3.model import CLASSES

SIDE = 2048  # of the matrices whose product is timed
PRODUCTS = 10


def training_flops(config: ModelConfig) -> int:
    """Return the floating-point operations of direct products for one training image, forward and backward.

    A product costs 2 operations for each weight and position. Its gradients cost as much again for the weights and
    for the input, but for the first convolution, whose input asks for none.
    """
    size, cin, total = 32, 3, 0
    for i, cout in enumerate(config.channels):
        total += (2 if i == 0 else 3) * 2 * size * size * 9 * cin * cout
        pooled = not config.dense or i == 2
        size = size // 2 if pooled else size
        cin = cin + cout if config.dense and i < 2 else cout
    widths = (cin * size * size, *config.hidden, CLASSES)
    return total + sum(3 * 2 * a * b for a, b in pairwise(widths))


def peak_flops() -> float:
    """Return floating-point operations a second of the best of some large float32 matrix products."""
    a = jnp.ones((SIDE, SIDE))
    product = jax.jit(jnp.dot)
    jax.block_until_ready(product(a, a))
    seconds = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        jax.block_until_ready(product(a, a))
        seconds.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(seconds)
