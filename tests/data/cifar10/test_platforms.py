"""CIFAR-10 on platforms for which the packages that read its records do not exist."""

import importlib.util
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cnn3.data import cifar
from cnn3.data.loading import load
from cnn3.data.splits import DataError
from tests.helpers.processes import ROOT

REMEDY = r"CIFAR cannot be read without array_record and tensorflow_datasets, .* WSL, or use --dataset digits"


@pytest.fixture
def without_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name in {"array_record", "tensorflow_datasets"} else importlib.util.find_spec(name)

    monkeypatch.setattr(cifar, "find_spec", find)


@pytest.mark.usefixtures("without_readers")
def test_one_is_told_what_to_do_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=REMEDY):
        load("cifar10", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert len(load("digits").test.labels) == 360


@pytest.mark.usefixtures("without_readers")
def test_records_are_not_taken_for_damaged(root: Path) -> None:
    with pytest.raises(DataError, match=REMEDY):
        load("cifar10", root)


def test_windows_installs_everything_but_the_readers() -> None:
    requirements = [
        Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ]
    linux, windows = ({"sys_platform": name} for name in ("linux", "win32"))
    left_out = {each.name for each in requirements if each.marker and not each.marker.evaluate(windows)}
    assert left_out == {"array-record", "tensorflow-datasets", "importlib-resources"}
    assert all(each.marker.evaluate(linux) for each in requirements if each.marker)
