"""Loads a PyTorch program as a module, and trains it for any number of epochs on any number of images.

The program must take --data-dir, --bn, --dense, --dropout, --batch-size, --lr, --epochs, --seed and --channels-last,
and define model, tx (its optimizer), run, loader, Set, subset, arrays, images, labels, order, train, val, and a (its
arguments).
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

VALIDATION_IMAGES = 5_000  # the first in its order; the others are for training
MODULE = "pytorch_program"


def load_program(
    program: Path, data_dir: Path, variant: str, batch_size: int, *, seed: int = SEED, channels_last: bool = False
) -> dict[str, Any]:
    """Return what the program defines, with its network initialised and untrained."""
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
    sys.argv = [str(program), *(str(part) for option in settings.items() for part in option)]
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
    """Return what the program defines, with `dataset` in place of the images that it would read.

    A program that asks `tensorflow_datasets.data_source` for its rows gets these, even without TFDS installed.
    """
    fake_tfds: Any = ModuleType("tensorflow_datasets")
    fake_tfds.data_source = lambda name, split, **_: Rows(getattr(dataset, split))
    with _replaced_module(fake_tfds):
        return load_program(program, Path(), variant, batch_size, channels_last=channels_last)


@contextmanager
def _replaced_module(module: ModuleType) -> Iterator[None]:
    """Import `module` in place of the real one with its name."""
    original = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]
        if original is not None:
            sys.modules[module.__name__] = original


class Rows:
    """Images in the form that `tensorflow_datasets.data_source` returns."""

    def __init__(self, split: Split) -> None:
        """Take the images and labels."""
        self._split = split

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._split.labels)

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return the rows at these indices."""
        return [{"image": self._split.images[i], "label": self._split.labels[i]} for i in indices]


def train_epochs(program: dict[str, Any], epochs: int, limit: int | None) -> Iterator[dict[str, dict[str, float]]]:
    """Yield training and validation metrics after each epoch of the program's own loop on the first training images."""
    indices = program["order"][VALIDATION_IMAGES:][:limit]
    images = program["Set"](program["images"], program["labels"], True)
    train = program["loader"](images, sampler=program["subset"](indices))
    program["model"].train()  # and it validates in this mode, too
    for _ in range(epochs):
        yield {"train": program["run"](train, True), "validation": program["run"](program["val"], False)}
