"""Other implementations of convolution on a CPU, compared with the kernel in use.

python -m benchmarks.convolutions

For the network's second and third convolution, and one of 5x5 pixels: milliseconds of the forward pass and both
gradients inside `lax.scan`, as in an epoch, as medians of interleaved rounds, and the ratio to the kernel in use.
Nothing else should run meanwhile.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array, lax

from cnn3.nn import winograd
from cnn3.nn.matmul_conv import matmul_conv

Convolution = Callable[[Array, Array], Array]
Timer = Callable[[], float]

# An image's shape, its output's channels, and the kernel's side: two layers of the original study (section 2), and one
# as in `experiments.frontier`.
LAYERS = (((16, 16, 256), 128, 3), ((8, 8, 128), 64, 3), ((16, 16, 64), 128, 5))
STEPS = 3  # in one compiled loop
IN_USE = "F(4x4), 128 tiles at once: in use"
DIRECT = "direct, XLA's, the loop unrolled"  # within a loop on a CPU it is tens of times slower


@dataclass(frozen=True)
class Options:
    """Options of the timing.

    Args:
        batch_size: images per step.
        rounds: number of timings of each implementation.
    """

    batch_size: int = 128
    rounds: int = 5


def direct(x: Array, kernel: Array) -> Array:
    """Convolve by XLA's own operation."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def pad(x: Array, side: int) -> Array:
    """Pad images with zeros for a kernel with this side."""
    return jnp.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)))


def shifted(x: Array, side: int) -> list[Array]:
    """Return the shifted images, one for each position of the kernel."""
    height, width = x.shape[1:3]
    return [pad(x, side)[:, i : i + height, j : j + width] for i in range(side) for j in range(side)]


def patches(x: Array, kernel: Array) -> Array:
    """Convolve by one matrix product with the shifted images side by side."""
    return jnp.concatenate(shifted(x, len(kernel)), -1) @ kernel.reshape(-1, kernel.shape[-1])


def product_per_position(x: Array, kernel: Array) -> Array:
    """Convolve by a matrix product for each position of the kernel."""
    positions = kernel.reshape(-1, *kernel.shape[2:])
    return functools.reduce(jnp.add, map(jnp.matmul, shifted(x, len(kernel)), positions))


def along_rows(x: Array, kernel: Array) -> Array:
    """Convolve by F(4) along the rows, and directly down the columns: for 3x3 half the multiplications."""
    batch, height, width, channels = x.shape
    side, last = len(kernel), width - winograd.TILE
    matrices = winograd.minimal_filter(winograd.TILE, side)
    inputs = [pad(x, side)[:, :, i : i + last + 1 : winograd.TILE] for i in range(len(matrices.inputs))]
    points = jnp.einsum("sj,ijck->sick", jnp.asarray(matrices.kernel, x.dtype), kernel)
    products = []
    for coefficients, point in zip(matrices.inputs, points, strict=True):
        z = winograd._combine(coefficients, inputs)
        columns = jnp.concatenate([z[:, i : i + height] for i in range(side)], -1)
        products.append(columns @ point.reshape(side * channels, -1))
    outputs = [winograd._combine(coefficients, products) for coefficients in matrices.outputs]
    return jnp.stack(outputs, 3).reshape(batch, height, width, -1)


def bfloat16_product(a: Array, b: Array) -> Array:
    """Multiply in bfloat16, and sum in float32."""
    a, b = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return lax.dot_general(a, b, (((2,), (1,)), ((0,), (0,))), preferred_element_type=jnp.float32)


def patched(**constants: Any) -> AbstractContextManager:
    """Return a context in which the kernel in use has other constants or functions."""
    return patch.multiple(winograd, **constants)


# By name: the function, and the context to trace it in.
IMPLEMENTATIONS: Mapping[str, tuple[Convolution, Callable[[], AbstractContextManager]]] = {
    IN_USE: (winograd.winograd_conv, nullcontext),
    **{
        f"F(4x4), {count} at once": (winograd.winograd_conv, lambda tiles=tiles: patched(TILES_PER_CHUNK=tiles))
        for count, tiles in {"32 tiles": 32, "64": 64, "256": 256, "512": 512, "all": 10**9}.items()
    },
    "F(4x4), products in bfloat16": (winograd.winograd_conv, lambda: patched(_batch_matmul=bfloat16_product)),
    "F(2x2), 128 tiles at once": (winograd.winograd_conv, lambda: patched(TILE=2)),
    "F(2x2), 512 at once": (winograd.winograd_conv, lambda: patched(TILE=2, TILES_PER_CHUNK=512)),
    "F(4) along rows": (along_rows, nullcontext),
    "one product of patches": (patches, nullcontext),
    "a product of patches, a few images at a time": (matmul_conv, nullcontext),
    "a product for each position": (product_per_position, nullcontext),
    DIRECT: (direct, nullcontext),
}


def timer(convolve: Convolution, x: Array, kernel: Array, unroll: int) -> Timer:
    """Compile a loop of the forward pass and both gradients; return a function that times it."""

    def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        y, vjp = jax.vjp(convolve, *carry)
        dx, dkernel = vjp(y)
        return (carry[0] + 1e-6 * dx, carry[1] + 1e-6 * dkernel), None

    jax.clear_caches()  # otherwise a function would keep the constants of its first trace
    steps = jax.jit(lambda x, kernel: lax.scan(step, (x, kernel), None, STEPS, unroll=unroll)[0])
    loop = steps.lower(x, kernel).compile()
    jax.block_until_ready(loop(x, kernel))

    def time_ms() -> float:
        start = time.perf_counter()
        jax.block_until_ready(loop(x, kernel))
        return (time.perf_counter() - start) / STEPS * 1e3

    return time_ms


def measure(shape: tuple[int, ...], channels: int, side: int, rounds: int) -> dict[str, float]:
    """Check that all implementations agree, and return the median time of each in milliseconds."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(side, side, shape[-1], channels)) * 0.02, jnp.float32)
    expected, timers = direct(x, kernel), {}
    for name, (convolve, context) in IMPLEMENTATIONS.items():
        with context():
            error = jnp.abs(convolve(x, kernel) - expected).max() / jnp.abs(expected).max()
            assert error < (0.1 if "bfloat16" in name else 1e-4), (name, error)
            timers[name] = timer(convolve, x, kernel, STEPS if name == DIRECT else 1)
    times = [{name: time_ms() for name, time_ms in timers.items()} for _ in range(rounds)]
    return {name: statistics.median(times_of_round[name] for times_of_round in times) for name in timers}


def table(times: Mapping[str, float], heading: str) -> Iterator[str]:
    """Yield the lines of a table of the times."""
    yield f"\n| {heading} | ms | relative |\n|---|---:|---:|"
    for name, milliseconds in times.items():
        yield f"| {name} | {milliseconds:.1f} | {milliseconds / times[IN_USE]:.2f} |"


def main() -> None:
    """Time every implementation, and print a table for each convolution."""
    options = tyro.cli(Options, description=__doc__)
    for image, channels, side in LAYERS:
        times = measure((options.batch_size, *image), channels, side, options.rounds)
        heading = f"{options.batch_size} x {' x '.join(map(str, image))} to {channels}, {side}x{side}"
        print("\n".join(table(times, heading)), flush=True)


if __name__ == "__main__":
    main()
