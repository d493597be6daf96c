"""A PyTorch program loaded as a module, and trained as long as one likes on as many images as one likes.

The program has to take --data-dir, --bn, --dense, --dropout, --batch-size, --lr, --epochs, --seed and --channels-last,
and to define model, tx, its optimizer, run, loader, Set, subset, arrays, images, labels, order, train, val, and a, its
arguments.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from cnn3 import VARIANTS, Dataset, Split
from cnn3.config import SEED

VALIDATION_IMAGES = 5_000  # the first of its order; the others are for training
MODULE = "pytorch_program"


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
    spec = importlib.util.spec_from_file_location(MODULE, program)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)  # torch.compile looks for it there
    spec.loader.exec_module(module)
    return vars(module)


def load_program_with(
    dataset: Dataset, program: Path, variant: str, batch_size: int, *, channels_last: bool = False
) -> dict[str, Any]:
    """Return what the program defines, with images that are already there in place of those it would read.

    A program that asks `tensorflow_datasets.data_source` for its rows gets these, at once and with no TFDS installed.
    """
    stand_in: Any = ModuleType("tensorflow_datasets")
    stand_in.data_source = lambda name, split, **_: Rows(getattr(dataset, split))
    with _module(stand_in):
        return load_program(program, Path(), variant, batch_size, channels_last=channels_last)


@contextmanager
def _module(module: ModuleType) -> Iterator[None]:
    """Have a module imported in place of what its name stands for otherwise."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before


class Rows:
    """Images as `tensorflow_datasets.data_source` gives them."""

    def __init__(self, split: Split) -> None:
        """Take the images and labels."""
        self._split = split

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._split.labels)

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return some rows."""
        return [{"image": self._split.images[i], "label": self._split.labels[i]} for i in indices]


def histories(program: dict[str, Any], epochs: int, limit: int | None) -> Iterator[dict[str, dict[str, float]]]:
    """Yield train and validation metrics of each epoch, of the program's own loop on the first training images."""
    kept = program["order"][VALIDATION_IMAGES:][:limit]
    images = program["Set"](program["images"], program["labels"], True)
    train = program["loader"](images, sampler=program["subset"](kept))
    program["model"].train()  # and so it validates, too
    for _ in range(epochs):
        yield {"train": program["run"](train, True), "validation": program["run"](program["val"], False)}
