"""The fast convolution and block against XLA's convolution in float64, plain formulas, and PyTorch."""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax import Array, lax

from cnn3.nn import cpu_block, norm_relu_pool, winograd
from cnn3.nn.batch_norm import BatchNormInputs, Moments, batch_moments
from cnn3.nn.norm_relu_pool import Pool, SumFn, sum_by_products, sum_by_reduction
from cnn3.nn.winograd import minimal_filter, winograd_conv
from tests.helpers.compiling import QUICK

POOLS: tuple[Pool, ...] = ("max", "average", "none")
NORMS = ("none", "batch", "partial", "running")
NO_SHRINKING = (Phase.explicit, Phase.generate)  # every shape tried has to be compiled


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Make chunks so small that small batches need several, with padding in the last one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "TILES_PER_CHUNK", 12)
        patch.setattr(cpu_block, "PATCHES_PER_CHUNK", 128)
        yield


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def reference_conv(x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def reference_block(
    x: Array, kernel: Array, bias: Array, norm: BatchNormInputs | None, pool: Pool
) -> tuple[Array, Moments | None]:
    """Compute a block by the textbook; derivatives are correct where no window ties."""
    y = reference_conv(x, kernel) + bias
    moments = None
    if norm is not None:
        scale, shift, statistics = norm
        if not isinstance(statistics, Moments):
            counted = y[np.flatnonzero(statistics)]
            statistics = moments = Moments(jnp.mean(counted, (0, 1, 2)), jnp.var(counted, (0, 1, 2)))
        y = (y - statistics.mean) / jnp.sqrt(statistics.var + 1e-5) * scale + shift
    y = jnp.maximum(y, 0)
    windows = [y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    # No jnp.max over an axis: its gradient looks the maximum up by equality, and recomputed values may differ by a bit.
    pooled = {"max": lambda: reduce(jnp.maximum, windows), "average": lambda: sum(windows) / 4, "none": lambda: y}[
        pool
    ]()
    return pooled, moments


def values_and_gradients(function: Callable, arguments: tuple[Array, ...]) -> tuple:
    """Return the values of `function`, and the gradients of a random linear combination of them."""
    shapes = jax.eval_shape(function, *arguments)
    leaves, structure = jax.tree.flatten(shapes)
    upstream = structure.unflatten([jnp.asarray(normal(9 + i, *a.shape), a.dtype) for i, a in enumerate(leaves)])

    return pull_back(function, arguments, upstream)


def pull_back(function: Callable, arguments: tuple[Array, ...], upstream: Any) -> tuple:
    """Return the values of `function`, and the gradients of its arguments, given that of its values."""

    def run(arguments: tuple[Array, ...], upstream: Any) -> tuple:
        values, vjp = jax.vjp(function, *arguments)
        return values, vjp(upstream)

    return jax.jit(run, compiler_options=QUICK)(arguments, upstream)


def assert_close(actual: object, expected: object, tolerance: float) -> None:
    """Compare all arrays, each to `tolerance` times its largest value or one, whichever is larger."""
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * max(1.0, float(np.max(np.abs(e)))))


def test_the_matrices_are_those_of_the_paper() -> None:
    """F(4, 3) as Lavin and Gray print it (arXiv 1509.09308, section 4.1), their fractions as quotients of 24."""
    inputs = [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
    kernel = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
    outputs = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    for actual, expected in zip(minimal_filter(4, 3), (inputs, kernel, outputs), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("side", [3, 5])
@settings(max_examples=6, phases=NO_SHRINKING)
@given(
    shape=st.tuples(*(st.integers(1, high) for high in (5, 11, 11, 7))), cout=st.integers(1, 7), seed=st.integers(0, 99)
)
def test_convolution_equals_xlas_in_float64(side: int, shape: tuple[int, int, int, int], cout: int, seed: int) -> None:
    with jax.enable_x64(True):
        arguments = jnp.asarray(normal(seed, *shape)), jnp.asarray(normal(seed + 1, side, side, shape[3], cout))
        expected = values_and_gradients(reference_conv, arguments)
        assert_close(values_and_gradients(winograd_conv, arguments), expected, 5e-14)  # seen: 5e-15, 5x5: 1.5e-14


def block_arguments(shape: tuple[int, int, int, int], cout: int, seed: int, side: int = 3) -> tuple[Array, ...]:
    """Return input, kernel, bias, and scale and shift of a norm, of both signs."""
    shapes = (shape, (side, side, shape[3], cout), (cout,), (cout,), (cout,))
    return tuple(jnp.asarray(normal(seed + i, *s)) for i, s in enumerate(shapes))


def with_norm(function: Callable, norm: str, pool: Pool) -> Callable[..., tuple[Array, Moments | None]]:
    """Return `function` with the norm and pooling fixed, as a function of arrays only."""

    def run(x: Array, kernel: Array, bias: Array, scale: Array, shift: Array) -> tuple[Array, Moments | None]:
        statistics = {
            "none": None,
            "running": Moments(jnp.sin(jnp.arange(bias.size)), 1.0 + jnp.arange(bias.size)),
            "batch": np.full(len(x), 1 / len(x), x.dtype),
            "partial": (np.arange(len(x)) % 2 == 0).astype(x.dtype) / ((len(x) + 1) // 2),
        }[norm]
        norm_inputs = None if statistics is None else BatchNormInputs(scale, shift, statistics)
        return function(x, kernel, bias, norm_inputs, pool)

    return run


def fast_block(
    x: Array, kernel: Array, bias: Array, norm: BatchNormInputs | None, pool: Pool
) -> tuple[Array, Moments | None]:
    """Call `cpu_block` with sample weights as a JAX array; the reference takes a NumPy array."""
    if norm is not None and not isinstance(norm.statistics, Moments):
        norm = norm._replace(statistics=jnp.asarray(norm.statistics))
    return cpu_block.cpu_block(x, kernel, bias, norm, pool)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=2, phases=NO_SHRINKING)
@given(
    shape=st.tuples(st.integers(2, 9), *[st.integers(1, 5).map(lambda half: 2 * half)] * 2, st.sampled_from([6, 3, 1])),
    cout=st.integers(1, 6),
    side=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_block_equals_the_reference_in_float64(
    norm: str, pool: Pool, shape: tuple[int, int, int, int], cout: int, side: int, seed: int
) -> None:
    with jax.enable_x64(True):
        arguments = block_arguments(shape, cout, seed, side)
        expected = values_and_gradients(with_norm(reference_block, norm, pool), arguments)
        assert_close(values_and_gradients(with_norm(fast_block, norm, pool), arguments), expected, 5e-14)  # seen: 5e-15


@pytest.mark.parametrize(("cin", "size", "side"), [(3, 32, 3), (256, 16, 3), (256, 16, 5)])
def test_rounding_error_in_float32(cin: int, size: int, side: int) -> None:
    """Measured, relative to the largest value: 5.0e-6 in outputs, 5.6e-6 in gradients; the bound is ten times that.

    With other seeds a value lies so near zero that rounding puts it on the other side, and its gradient differs.
    """
    with jax.enable_x64(True):
        x, kernel, bias, scale, shift = block_arguments((8, size, size, cin), 32, 2, side)
        arguments = (x, kernel / np.sqrt(side**2 * cin), bias, 1 + abs(scale), shift)
        singles = tuple(a.astype(jnp.float32) for a in arguments)
        doubles = tuple(a.astype(jnp.float64) for a in singles)
        expected = values_and_gradients(with_norm(reference_block, "batch", "average"), doubles)
        actual = values_and_gradients(with_norm(fast_block, "batch", "average"), singles)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, e, rtol=0, atol=6e-5 * float(np.max(np.abs(e))))


def test_ties_in_the_first_layer_follow_torch(torch: Any) -> None:
    """Flat images and integers, without rounding: most windows tie, many of them at zero."""
    functional = torch.nn.functional
    rng = np.random.default_rng(3)
    x = np.repeat(np.repeat(rng.integers(0, 2, (6, 4, 4, 3)), 4, 1), 4, 2).astype(float)
    kernel, bias = rng.integers(-1, 2, (3, 3, 3, 5)).astype(float), rng.integers(-1, 2, 5).astype(float)
    upstream = normal(4, 6, 8, 8, 5)

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
    y = functional.conv2d(leaves[0].permute(0, 3, 1, 2), leaves[1].permute(3, 2, 0, 1), leaves[2], padding=1)
    pooled = functional.max_pool2d(torch.relu(y), 2).permute(0, 2, 3, 1)
    (pooled * torch.tensor(upstream)).sum().backward()

    with jax.enable_x64(True):
        arguments = tuple(map(jnp.asarray, (x, kernel, bias)))
        run = partial(fast_block, norm=None, pool="max")
        values, gradients = pull_back(lambda *arrays: run(*arrays)[0], arguments, upstream)
        assert_close(values, pooled.detach().numpy(), 1e-14)  # seen: 1e-15
        assert_close(gradients, tuple(a.grad.numpy() for a in leaves), 1e-14)  # seen: 1e-15


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("sum_fn", [sum_by_products, sum_by_reduction])
def test_norm_and_ties_after_a_convolution_follow_torch(sum_fn: SumFn, window: int, relu: bool, torch: Any) -> None:
    """Normalise, rectify or not, and pool integers of few values, so that most windows tie."""
    functional = torch.nn.functional
    y = np.random.default_rng(3).integers(0, 3, (6, 8, 8, 5)).astype(float)
    scale, shift = np.array([1.0, -2.0, 0.5, 3.0, -1.0]), np.array([0.0, 1.0, -1.0, 0.5, 2.0])
    upstream = normal(4, 6, 4, 4, 5)

    leaves = [torch.tensor(a, requires_grad=True) for a in (y, scale, shift)]
    normalised = functional.batch_norm(leaves[0].permute(0, 3, 1, 2), None, None, leaves[1], leaves[2], training=True)
    rectified = torch.relu(normalised) if relu else normalised
    padded = functional.pad(rectified, (0, window - 2) * 2, value=-torch.inf)
    pooled = functional.max_pool2d(padded, window, 2).permute(0, 2, 3, 1)
    (pooled * torch.tensor(upstream)).sum().backward()

    def run(y: Array, scale: Array, shift: Array) -> Array:
        norm = BatchNormInputs(scale, shift, jnp.full(6, 1 / 6))
        return norm_relu_pool.norm_relu_pool(y, jnp.zeros(5), norm, "max", window, relu, sum_fn)[0]

    with jax.enable_x64(True):
        values, gradients = pull_back(run, tuple(map(jnp.asarray, (y, scale, shift))), upstream)
        assert_close(values, pooled.detach().numpy(), 1e-14)  # seen: 1e-15
        assert_close(gradients, tuple(a.grad.numpy() for a in leaves), 1e-14)  # seen: 1e-15


def test_the_gradient_of_the_images_is_computed_only_if_needed() -> None:
    """Three loops over chunks: forward, kernel gradient, image gradient; the compiler drops the last if unused."""
    arguments = tuple(a.astype(jnp.float32) for a in block_arguments((8, 8, 8, 3), 4, 0))

    def loss(*arguments: Array) -> Array:
        return jnp.sum(with_norm(fast_block, "batch", "max")(*arguments)[0] ** 2)

    def count_loops(argnums: tuple[int, ...]) -> int:
        text = jax.jit(jax.grad(loss, argnums)).lower(*arguments).compile().as_text()
        assert text is not None
        return text.count(" while(")

    assert (count_loops((0, 1)), count_loops((1,))) == (3, 2)


@pytest.mark.parametrize(
    "moments",
    [*(partial(norm_relu_pool.batch_moments, sum_fn) for sum_fn in (sum_by_products, sum_by_reduction)), batch_moments],
)
def test_moments_of_a_large_batch_are_precise_in_float32(moments: Callable) -> None:
    """To 2e-6 of the largest value; seen: 2.4e-7. Summing all pixels at once, the error would be 1e-5."""
    x = 0.3 + normal(0, 128, 32, 32, 4)
    mean, variance = jax.jit(moments)(x.astype(np.float32), jnp.full(128, 1 / 128))
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=0, atol=2e-6 * 0.3)
    np.testing.assert_allclose(variance, x.var((0, 1, 2)), rtol=2e-6)
