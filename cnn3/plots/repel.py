"""Where names are written so that none lies upon another."""

import numpy as np
from jaxtyping import Float

ROUNDS = 1000

Places = Float[np.ndarray, "n 2"]


def repelled(centres: Places, sizes: Places, low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"]) -> Places:
    """Return centres of boxes moved as far as they overlap, within bounds if all fit there.

    Two that overlap move apart by half of it each, along the side on which they overlap less.
    """
    least, most = low + sizes / 2, np.maximum(high - sizes / 2, low + sizes / 2)
    places = np.clip(centres, least, most)
    for _ in range(ROUNDS):
        if not _push(places, sizes):
            break
        places = np.clip(places, least, most)
    return places


def _push(places: Places, sizes: Places) -> bool:
    """Move all boxes that overlap, in place, and tell whether there were any."""
    moved = False
    for i in range(len(places)):
        for j in range(i):
            apart = places[i] - places[j]
            overlap = (sizes[i] + sizes[j]) / 2 - np.abs(apart)
            if (overlap > 1e-9).all():
                side = int(np.argmin(overlap))
                step = (overlap[side] / 2 + 1e-6) * (1 if apart[side] >= 0 else -1)
                places[i, side] += step
                places[j, side] -= step
                moved = True
    return moved
