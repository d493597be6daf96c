"""Placement of labels so that none overlap."""

import numpy as np
from jaxtyping import Float

MAX_ITERATIONS = 1000

Points = Float[np.ndarray, "n 2"]


def repel(centres: Points, sizes: Points, low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"]) -> Points:
    """Return the centres of boxes, moved apart where they overlap, and within bounds if all fit there.

    Two boxes that overlap each move by half the overlap, along the axis on which it is smaller.
    """
    lower, upper = low + sizes / 2, np.maximum(high - sizes / 2, low + sizes / 2)
    moved = np.clip(centres, lower, upper)
    for _ in range(MAX_ITERATIONS):
        if not _push_apart(moved, sizes):
            break
        moved = np.clip(moved, lower, upper)
    return moved


def _push_apart(centres: Points, sizes: Points) -> bool:
    """Move all boxes that overlap, in place; return whether there were any."""
    moved = False
    for i in range(len(centres)):
        for j in range(i):
            difference = centres[i] - centres[j]
            overlap = (sizes[i] + sizes[j]) / 2 - np.abs(difference)
            if (overlap > 1e-9).all():
                axis = int(np.argmin(overlap))
                step = (overlap[axis] / 2 + 1e-6) * (1 if difference[axis] >= 0 else -1)
                centres[i, axis] += step
                centres[j, axis] -= step
                moved = True
    return moved
