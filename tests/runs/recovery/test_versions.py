"""Runs that other versions, kernels, cores or images began or ended."""

import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from cnn3 import Dataset, OutputError, fit, load
from cnn3.nn.layers import BLOCKS
from cnn3.runs import loop, versions
from cnn3.runs.machine import cores
from tests.helpers.folders import content, file_bytes
from tests.helpers.tiny_experiment import few
from tests.runs.recovery.reports import told
from tests.runs.recovery.run import CONFIG

JAX_DIFFERS = f"jax {version('jax')}, not 9.9"

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def another_jax(name: str) -> str:
    return "9.9" if name == "jax" else version(name)


def test_a_run_that_other_versions_began_is_refused(
    cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    before = file_bytes(tmp_path)
    monkeypatch.setattr(versions, "version", another_jax)
    with pytest.raises(OutputError) as error:
        fit(CONFIG, digits, tmp_path)
    remedy = f"delete {tmp_path} to train the run again, or name another --output"
    assert str(error.value) == f"{tmp_path} was started with {JAX_DIFFERS}: {remedy}"
    assert file_bytes(tmp_path) == before
    shutil.rmtree(tmp_path / "checkpoints")  # nothing is left that other versions have trained
    (tmp_path / "summary.json").unlink(missing_ok=True)
    with told() as lines:
        fit(CONFIG, digits, tmp_path)
    assert not lines
    assert json.loads((tmp_path / "versions.json").read_text())["jax"] == "9.9"
    assert {**content(tmp_path), "versions.json": None} == {**content(ended), "versions.json": None}


def test_a_run_that_other_kernels_began_is_refused(
    cut_off: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    begun = json.loads((tmp_path / "versions.json").read_text())["kernels"]
    other = next(name for name in BLOCKS if name != begun)
    monkeypatch.setenv("CNN3_KERNELS", other)
    with pytest.raises(OutputError, match=f"was started with kernels {begun}, not {other}: delete "):
        fit(CONFIG, digits, tmp_path)


def test_a_run_moves_to_another_number_of_cores_and_says_so(
    cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(versions, "cores", lambda: set(range(99)))
    with told() as lines:
        fit(CONFIG, digits, tmp_path)
    assert [line.split(": ")[0] for line in lines] == [f"{tmp_path} was started with cores {len(cores())}, not 99"]
    assert content(tmp_path) == content(ended)


@pytest.mark.parametrize("which", ["ended", "cut_off"])
def test_a_run_of_other_images_is_refused_by_name(
    which: str, digits: Dataset, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The same configuration on other images, and on the same images with another split."""
    shutil.copytree(request.getfixturevalue(which), tmp_path, dirs_exist_ok=True)
    before = file_bytes(tmp_path)
    swapped = replace(digits, validation=digits.test, test=digits.validation)
    brighter = replace(digits, train=digits.train._replace(images=digits.train.images | 1))
    for other in (swapped, brighter, few(load("digits", limit=CONFIG.limit, seed=1))):
        with pytest.raises(OutputError, match=f"data {digits.digest}, not {other.digest}"):
            fit(CONFIG, other, tmp_path)
    assert file_bytes(tmp_path) == before


def test_a_run_that_other_versions_ended_is_used_and_they_are_told(
    ended: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(versions, "version", another_jax)
    monkeypatch.setattr(loop, "_run_epoch", None)
    with told() as lines:
        fit(CONFIG, digits, tmp_path)
    assert lines == [f"{tmp_path} was made with {JAX_DIFFERS}; it is reused"]
    assert file_bytes(tmp_path) == file_bytes(ended)
