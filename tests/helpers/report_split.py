"""The split of the original program, written as it has it."""

import numpy as np


def split_by_the_report(count: int, seed: int) -> tuple[list[int], list[int]]:
    """The split as the report's train.py has it, lines 58-64."""
    state = np.random.get_state()
    indices = list(range(count))
    split_idx = int(np.floor(0.1 * count))
    np.random.seed(seed)
    np.random.shuffle(indices)
    np.random.set_state(state)
    return indices[split_idx:], indices[:split_idx]
