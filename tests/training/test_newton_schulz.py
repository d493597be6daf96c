"""Muon's orthogonalisation against optax's, which multiplies the whole matrix in every step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from cnn3.training.newton_schulz import orthogonalize


@pytest.mark.parametrize("shape", [(576, 56), (56, 576), (40, 40)])
@pytest.mark.parametrize(("smallest", "bound"), [(1, 2e-6), (1e-8, 3e-3)])
def test_equals_optaxs(shape: tuple[int, int], smallest: float, bound: float) -> None:
    """With singular values from one to `smallest`, to 3e-8 of the largest value in float64 (seen: 1.3e-8).

    In float32 against optax's in float64 (seen: 6e-7 and 1e-3; optax's own 2e-6 and 1.4e-5).
    """
    rng = np.random.default_rng(0)
    u, _, v = np.linalg.svd(rng.normal(size=shape), full_matrices=False)
    x = u * np.geomspace(1, smallest, min(shape)) @ v
    optaxs = scale_by_muon(beta=0, nesterov=False, weight_dimension_numbers=MuonDimensionNumbers())
    with jax.enable_x64(True):
        expected: Any
        expected, _ = optaxs.update(jnp.asarray(x), optaxs.init(jnp.asarray(x)))
        for dtype, tolerance in [("float64", 3e-8), ("float32", bound)]:
            actual = orthogonalize(jnp.asarray(x / np.linalg.norm(x), dtype))
            np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.max(np.abs(expected)))


def test_zero_stays_zero() -> None:
    """As of a layer whose gradient vanishes; dividing by a norm would make it NaN."""
    assert np.all(orthogonalize(jnp.zeros((3, 2))) == 0)
