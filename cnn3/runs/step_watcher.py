"""Watches the steps of an epoch on a CPU while one compiled call trains it.

The call updates the state in place, so a thread can see each step in the state's memory: the compiled program, its
results and its cache entry stay the same. If XLA updated a copy instead, no steps would be reported.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_uint32

import jax

from cnn3.runs.periodic import call_periodically
from cnn3.training.state import TrainState

POLLS_PER_STEP = 6  # so that no step is missed
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.01, 0.25  # shorter steps may be missed, but then the epoch is short, too

StepCallback = Callable[[int, int], None]  # called with the number of steps done and the total


@contextmanager
def watch_steps(state: TrainState, total: int, on_step: StepCallback | None) -> Iterator[None]:
    """Report each step of an epoch.

    Args:
        state: the state, on the CPU, that the epoch in the block updates.
        total: the number of steps in the epoch.
        on_step: called in another thread after each step, and in this one before the first and after the last; if
            None, nothing is watched.
    """
    array = _changing_array(state)
    if on_step is None or array is None:
        yield
        return
    on_step(0, total)
    memory = c_uint32.from_address(array.unsafe_buffer_pointer())
    start, last_value, done = time.perf_counter(), memory.value, 0

    def poll() -> float:
        nonlocal last_value, done
        if memory.value != last_value and done < total:
            last_value, done = memory.value, done + 1
            on_step(done, total)
        if not done:
            return MIN_POLL_SECONDS
        step_seconds = (time.perf_counter() - start) / done
        return min(max(MIN_POLL_SECONDS, step_seconds / POLLS_PER_STEP), MAX_POLL_SECONDS)

    with call_periodically(poll, MIN_POLL_SECONDS):
        yield
    on_step(total, total)


def _changing_array(state: TrainState) -> jax.Array | None:
    """Return an array whose first number each step writes once: the optimizer's state for the last layer's bias.

    None is returned for an optimizer without such a state, which only a user's own can be.

    The gradient of a class's bias is never exactly zero, and XLA does not reuse this memory during the epoch, as it
    does that of parameters.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state.opt_state)
    biases = [leaf for path, leaf in leaves if path and getattr(path[-1], "key", None) == "bias"]
    return biases[-1] if biases else None
