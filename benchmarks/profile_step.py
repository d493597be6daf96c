"""Where the time of a training step goes: each part alone, forward and with its gradient.

python -m benchmarks.profile_step --variant batch_norm --batch-size 128

Each part is timed inside a compiled loop, as in an epoch, on random values of the right shapes. The table gives
milliseconds per step, the best of several rounds. Its last line is the whole step, in which XLA fuses these parts.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax import lax
from jaxtyping import Array

from benchmarks.job import VariantName
from cnn3 import VARIANTS, RunConfig, default_block
from cnn3.nn.batch_norm import BatchNormInputs
from cnn3.nn.layers import Block
from cnn3.nn.norm_relu_pool import Pool
from cnn3.training.augment import augment, normalize
from cnn3.training.optim import hyperparameters
from cnn3.training.state import COMPILER_OPTIONS, TrainSpec, TrainState, init_state, make_train_spec
from cnn3.training.step import train_step

STEPS = 8  # in one compiled loop
ROUNDS = 5


@dataclass(frozen=True)
class Options:
    """Options of the profile.

    Args:
        variant: of the network.
        batch_size: images per step.
    """

    variant: VariantName = "batch_norm"
    batch_size: int = 128


def time_ms(step: Callable[[Any], Any], carry: Any) -> float:
    """Return the milliseconds of one `step`, which maps a carry to the next."""
    loop = jax.jit(
        lambda carry: lax.fori_loop(0, STEPS, lambda _, c: step(c), carry), compiler_options=COMPILER_OPTIONS
    )
    jax.block_until_ready(loop(carry))
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        jax.block_until_ready(loop(carry))
        seconds.append(time.perf_counter() - start)
    return min(seconds) / STEPS * 1e3


def keep_alive(value: Array, tree: Any) -> Array:
    """Return `value`, made to depend on `tree` formally, so that XLA cannot remove the work from a loop."""
    return value + 1e-30 * sum(jnp.sum(leaf[..., :1]) for leaf in jax.tree.leaves(tree))


def blocks(spec: TrainSpec) -> Iterator[tuple[str, tuple[int, ...], int, Pool, bool]]:
    """Yield each block's name, input shape, output channels and pooling, and whether it needs its input's gradient."""
    config = spec.model.config
    size, cin = 32, 3
    for i, cout in enumerate(config.channels):
        pool: Pool = "none" if config.dense and i < 2 else config.pool
        yield f"block {i + 1}", (spec.batch_size, size, size, cin), cout, pool, i > 0
        size = size if pool == "none" else size // 2
        cin = cin + cout if config.dense and i < 2 else cout


def profile_block(
    block: Block, shape: tuple[int, ...], cout: int, pool: Pool, norm: bool, input_gradient: bool
) -> tuple[float, float]:
    """Return milliseconds of a block forward, and forward and backward; `input_gradient` adds that of its input."""
    x = jax.random.normal(jax.random.key(0), shape)
    kernel = jax.random.normal(jax.random.key(1), (3, 3, shape[-1], cout)) * (9 * shape[-1]) ** -0.5
    vectors = (jnp.zeros(cout), jnp.ones(cout), jnp.zeros(cout))

    def output(x: Array, kernel: Array, vectors: tuple[Array, Array, Array]) -> Array:
        bias, scale, shift = vectors
        inputs = BatchNormInputs(scale, shift, jnp.full(len(x), 1 / len(x))) if norm else None
        return block(x, kernel, bias, inputs, pool, 2, True)[0]

    upstream = jnp.ones_like(output(x, kernel, vectors))

    def forward(x: Array) -> Array:
        return keep_alive(x, output(x, kernel, vectors))

    def backward(x: Array) -> Array:
        function = output if input_gradient else lambda *args: output(x, *args)
        arguments = (x, kernel, vectors) if input_gradient else (kernel, vectors)
        _, vjp = jax.vjp(function, *arguments)
        return keep_alive(x, vjp(upstream))

    return time_ms(forward, x), time_ms(backward, x)


def main() -> None:
    """Print the table."""
    options = tyro.cli(Options, description=__doc__)
    config = RunConfig(VARIANTS[options.variant], batch_size=options.batch_size)
    spec = make_train_spec(config, default_block())
    images = jax.random.bits(jax.random.key(0), (options.batch_size, 32, 32, 3), "uint8")
    labels = jnp.zeros(options.batch_size, jnp.int32)
    hyper: Any = jax.tree.map(jnp.float32, hyperparameters(config))
    print(f"| {options.variant}, batch {options.batch_size} | forward, ms | with gradient, ms |\n|---|---:|---:|")

    key = jax.random.key(0)
    # Each step's images and key depend on the last step, so that nothing can be hoisted out of the loop.
    augmented = time_ms(lambda x: augment(jax.random.fold_in(key, jnp.max(x[:, 16, 16])), x, hyper.augment), images)
    print(f"| augmentation | {augmented:.1f} | |")
    for name, shape, cout, pool, input_gradient in blocks(spec):
        forward, backward = profile_block(spec.model.block, shape, cout, pool, config.model.batch_norm, input_gradient)
        print(f"| {name}: {shape[1]}x{shape[2]}x{shape[3]} to {cout} | {forward:.1f} | {backward:.1f} |", flush=True)

    state = init_state(spec, jnp.int32(0))

    def step(state: TrainState) -> TrainState:
        return train_step(spec, state, hyper, images, labels, key)[0]

    def evaluation(state: TrainState) -> TrainState:
        output = spec.model.apply(state.weights._asdict(), normalize(images), train=False)
        return jax.tree.map(lambda leaf: leaf if leaf.ndim != 1 else keep_alive(leaf, output), state)

    print(f"| whole network, inference | {time_ms(evaluation, state):.1f} | |")
    print(f"| whole step, with augmentation and optimizer | | {time_ms(step, state):.1f} |")


if __name__ == "__main__":
    main()
