"""Runs started or finished with other versions, kernels, cores or images."""

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
from tests.helpers.tiny_experiment import shrink
from tests.runs.recovery.log_lines import logged
from tests.runs.recovery.run import CONFIG

JAX_DIFFERS = f"jax {version('jax')}, not 9.9"

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def another_jax(name: str) -> str:
    return "9.9" if name == "jax" else version(name)


def test_a_run_started_by_other_versions_is_refused(
    interrupted: Path, finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    before = file_bytes(tmp_path)
    monkeypatch.setattr(versions, "version", another_jax)
    with pytest.raises(OutputError) as error:
        fit(CONFIG, digits, tmp_path)
    remedy = f"delete {tmp_path} to train the run again, or name another --output"
    assert str(error.value) == f"{tmp_path} was started with {JAX_DIFFERS}: {remedy}"
    assert file_bytes(tmp_path) == before
    shutil.rmtree(tmp_path / "checkpoints")  # removes all that other versions have trained
    (tmp_path / "summary.json").unlink(missing_ok=True)
    with logged() as lines:
        fit(CONFIG, digits, tmp_path)
    assert not lines
    assert json.loads((tmp_path / "versions.json").read_text())["jax"] == "9.9"
    assert {**content(tmp_path), "versions.json": None} == {**content(finished), "versions.json": None}


def test_a_run_started_with_other_kernels_is_refused(
    interrupted: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    saved = json.loads((tmp_path / "versions.json").read_text())["kernels"]
    other = next(name for name in BLOCKS if name != saved)
    monkeypatch.setenv("CNN3_KERNELS", other)
    with pytest.raises(OutputError, match=f"was started with kernels {saved}, not {other}: delete "):
        fit(CONFIG, digits, tmp_path)


def test_a_run_continues_on_another_number_of_cores_with_a_warning(
    interrupted: Path, finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(versions, "cores", lambda: set(range(99)))
    with logged() as lines:
        fit(CONFIG, digits, tmp_path)
    assert [line.split(": ")[0] for line in lines] == [f"{tmp_path} was started with cores {len(cores())}, not 99"]
    assert content(tmp_path) == content(finished)


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_run_on_other_images_is_refused_by_digest(
    state: str, digits: Dataset, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The same configuration on other images, and on the same images with another split."""
    shutil.copytree(request.getfixturevalue(state), tmp_path, dirs_exist_ok=True)
    before = file_bytes(tmp_path)
    swapped = replace(digits, validation=digits.test, test=digits.validation)
    brighter = replace(digits, train=digits.train._replace(images=digits.train.images | 1))
    for other in (swapped, brighter, shrink(load("digits", limit=CONFIG.limit, seed=1))):
        with pytest.raises(OutputError, match=f"data {digits.digest}, not {other.digest}"):
            fit(CONFIG, other, tmp_path)
    assert file_bytes(tmp_path) == before


def test_a_run_finished_by_other_versions_is_used_with_a_warning(
    finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(versions, "version", another_jax)
    monkeypatch.setattr(loop, "_run_epoch", None)
    with logged() as lines:
        fit(CONFIG, digits, tmp_path)
    assert lines == [f"{tmp_path} was made with {JAX_DIFFERS}; it is reused"]
    assert file_bytes(tmp_path) == file_bytes(finished)
