"""What the tests of CIFAR-10 work on."""

import importlib.abc
import os
import shutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnn3.data import cifar, cifar_tfds
from cnn3.data.dataset import Dataset, Split
from cnn3.data.loading import load
from cnn3.data.paths import is_prepared
from tests.data.cifar10.archive import SMALL, TOTAL, folder_in, make_archive, put_by_hand, register
from tests.helpers.processes import ROOT


class NoTensorFlow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A TensorFlow that is installed, as far as one asks, but fails when it is imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "tensorflow" else None

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("TensorFlow was imported")


@pytest.fixture(autouse=True)
def _no_tensorflow_and_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "meta_path", [NoTensorFlow(), *sys.meta_path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


@pytest.fixture(scope="session")
def tfds_dir() -> Path:
    """TFDS's folder with the whole of CIFAR-10."""
    root = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tensorflow_datasets"))
    if not is_prepared(folder_in(root)):
        pytest.skip(f"CIFAR-10 is not in {root}: prepare it with cnn3.load('cifar10'), or set TFDS_DATA_DIR")
    return root


@pytest.fixture(scope="session")
def whole(tfds_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        return load("cifar10", tfds_dir)


@pytest.fixture(scope="session")
def images() -> dict[str, Split]:
    """As many digits of each class as `SMALL` says."""
    dataset = load("digits")

    def pick(part: Split, each: int) -> Split:
        kept = np.concatenate([np.flatnonzero(part.labels == label)[:each] for label in range(10)])
        kept = np.random.default_rng(0).permutation(kept)
        return Split(part.images[kept], part.labels[kept])

    return {"train": pick(dataset.train, SMALL["train"]), "test": pick(dataset.test, SMALL["test"])}


@pytest.fixture(scope="session")
def archive(images: dict[str, Split]) -> bytes:
    return make_archive(images["train"], images["test"])


@pytest.fixture(scope="session")
def prepared(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TFDS's folder with the records of `images`; not to be changed."""
    root = tmp_path_factory.mktemp("prepared")
    put_by_hand(root, archive)
    with pytest.MonkeyPatch.context() as patch:
        register(patch, archive)
        cifar_tfds.prepare("cifar10", root, folder_in(root))
    shutil.rmtree(root / "downloads")
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `prepared`."""
    monkeypatch.setattr(cifar, "IMAGES", TOTAL)
    return Path(shutil.copytree(prepared, tmp_path / "data"))
