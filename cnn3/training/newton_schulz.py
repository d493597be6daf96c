"""The orthogonalisation of Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon), with fewer multiplications."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

STEPS = 5
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315  # Jordan's coefficients


def orthogonalize(x: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """Bring the singular values of a matrix, which must be at most one, near one.

    Each step is x <- (LINEAR + CUBIC g + QUINTIC g²) x with g = xx'. So all factors are polynomials of the first g, and
    x is multiplied once, by their product: a seventh of the time for wide kernels. Rounding of g, which holds squares,
    costs accuracy where singular values are small, in float32 up to 0.1% of the largest output.
    """
    if x.shape[0] > x.shape[1]:
        return orthogonalize(x.T).T
    product = identity = jnp.eye(len(x), dtype=x.dtype)
    gram = _multiply(x, x.T)
    for step in range(STEPS):
        factor = LINEAR * identity + CUBIC * gram + QUINTIC * _multiply(gram, gram)
        product = _multiply(factor, product) if step else factor
        if step < STEPS - 1:
            gram = _multiply(_multiply(factor, gram), factor)
    return _multiply(product, x)


def _multiply(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)  # GPUs round factors by default; the error in g would grow
