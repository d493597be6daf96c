"""A PyTorch program loaded as a module, and trained as long as one likes on as many images as one likes.

The program has to take --data-dir, --bn, --dense, --dropout, --batch-size, --lr, --epochs, --seed and --channels-last,
and to define model, run, loader, Set, subset, arrays, images, labels, order, train, val, and a, its arguments.
"""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnn3 import VARIANTS
from cnn3.config import SEED

VALIDATION_IMAGES = 5_000  # the first of its order; the others are for training


def load_program(
    program: Path, data_dir: Path, variant: str, batch_size: int, *, seed: int = SEED, channels_last: bool = False
) -> dict[str, Any]:
    """Return what the program defines, its network initialised and nothing trained."""
    model = VARIANTS[variant]
    settings = {
        "--data-dir": data_dir,
        "--bn": int(model.batch_norm),
        "--dense": int(model.dense),
        "--dropout": model.dropout,
        "--batch-size": batch_size,
        "--lr": 1e-3,
        "--epochs": 0,
        "--seed": seed,
    }
    sys.argv = [str(program), *(str(part) for pair in settings.items() for part in pair)]
    sys.argv += ["--channels-last"] * channels_last
    return runpy.run_path(str(program))


def histories(program: dict[str, Any], epochs: int, limit: int | None) -> Iterator[dict[str, dict[str, float]]]:
    """Yield train and validation metrics of each epoch, of the program's own loop on the first training images."""
    kept = program["order"][VALIDATION_IMAGES:][:limit]
    images = program["Set"](program["images"], program["labels"], True)
    train = program["loader"](images, sampler=program["subset"](kept))
    program["model"].train()  # and so it validates, too
    for _ in range(epochs):
        yield {"train": program["run"](train, True), "validation": program["run"](program["val"], False)}
