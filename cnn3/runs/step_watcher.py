"""How far an epoch has come on a CPU, while one compiled call trains it.

The call updates the state in the memory that it is given, so a thread can see each step there: the program, its bits
and its place in the cache of compiled programs stay as they are. Were XLA to work elsewhere, no step would be seen.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_uint32

import jax

from cnn3.runs.periodic import repeating
from cnn3.training.state import TrainState

LOOKS = 6  # a step, so that none is missed
SHORTEST, LONGEST = 0.01, 0.25  # seconds between looks; shorter steps are missed, but then an epoch is short, too

Steps = Callable[[int, int], None]  # takes the steps that are done, and how many there are


@contextmanager
def watched(state: TrainState, total: int, report: Steps | None) -> Iterator[None]:
    """Report each step of an epoch.

    Args:
        state: on the CPU, which the epoch is to take within.
        total: the epoch's steps.
        report: is called in another thread, also before the first step and, here, after the last; None does nothing.
    """
    if report is None:
        yield
        return
    report(0, total)
    memory = c_uint32.from_address(_changing(state).unsafe_buffer_pointer())
    begun, seen, done = time.perf_counter(), memory.value, 0

    def look() -> float:
        nonlocal seen, done
        if memory.value != seen and done < total:
            seen, done = memory.value, done + 1
            report(done, total)
        return min(max(SHORTEST, (time.perf_counter() - begun) / done / LOOKS), LONGEST) if done else SHORTEST

    with repeating(look, SHORTEST):
        yield
    report(total, total)


def _changing(state: TrainState) -> jax.Array:
    """Return an array whose first number each step writes once: what the optimizer gathers of the last layer's bias.

    The gradient of a class's bias is never exactly zero, and XLA keeps nothing else in this memory meanwhile, as it
    does in that of parameters.
    """
    return [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim == 1][-1]
