"""The split of the original program."""

import numpy as np


def original_split(count: int, seed: int) -> tuple[list[int], list[int]]:
    """Return training and validation indices, as the original program draws them (train.py, lines 58 to 64)."""
    state = np.random.get_state()
    indices = list(range(count))
    split_idx = int(np.floor(0.1 * count))
    np.random.seed(seed)
    np.random.shuffle(indices)
    np.random.set_state(state)
    return indices[split_idx:], indices[:split_idx]
