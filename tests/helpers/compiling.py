"""Compiling with little optimisation, where compiling takes longer than running."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

# Where two floating-point programs of one formula are compared, little optimisation proves the same in less time.
QUICK = {"xla_backend_optimization_level": 0}


@contextmanager
def quickly_compiled() -> Iterator[None]:
    """Leave most optimizations out of all programs."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
