"""How much arithmetic the machine can do."""

import time
from typing import Any

import jax
import jax.numpy as jnp

SIDE = 2048  # of the matrices whose product is timed
PRODUCTS = 10


def peak_flops(dtype: Any = jnp.float32, side: int = SIDE) -> float:
    """Return floating-point operations a second of the best of some products of large matrices."""
    a = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.dot)
    jax.block_until_ready(product(a, a))
    seconds = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        jax.block_until_ready(product(a, a))
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)
