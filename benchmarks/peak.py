"""The machine's peak arithmetic speed."""

import time
from typing import Any

import jax
import jax.numpy as jnp

SIDE = 2048  # of the square matrices that are multiplied
PRODUCTS = 10


def peak_flops(dtype: Any = jnp.float32, side: int = SIDE) -> float:
    """Return the floating-point operations per second of the fastest of ten products of large matrices."""
    a = jnp.ones((side, side), dtype)
    product = jax.jit(jnp.dot)
    jax.block_until_ready(product(a, a))
    seconds = []
    for _ in range(PRODUCTS):
        start = time.perf_counter()
        jax.block_until_ready(product(a, a))
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)
