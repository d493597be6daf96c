"""The files of a run that goes to another machine and comes back."""

import shutil
from pathlib import Path

import pytest

from cnn3 import Dataset, fit
from cnn3.runs.archive import pack_all, pack_checkpoint, pack_finished, unpack
from cnn3.runs.layout import checkpoint_epochs
from cnn3.runs.locks import HOLDER, LOCK
from tests.helpers.folders import SUMS, content, file_bytes
from tests.runs.recovery.run import CONFIG

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def test_a_run_resumes_on_another_machine_and_comes_back_finished(
    finished: Path, interrupted: Path, digits: Dataset, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    unpack(pack_checkpoint(interrupted, 1), away)
    records = []
    fit(CONFIG, digits, away, on_epoch=records.append)
    assert [record["epoch"] for record in records] == [2]  # the others are in the checkpoint
    back = Path(shutil.copytree(interrupted, tmp_path / "back"))
    unpack(pack_finished(away), back)
    assert content(back) == content(finished)
    assert sorted(file_bytes(back)) == sorted(file_bytes(finished))


def test_a_checkpoint_replaces_newer_ones_and_all_but_one_of_the_older(interrupted: Path, tmp_path: Path) -> None:
    back = Path(shutil.copytree(interrupted, tmp_path / "back"))
    assert checkpoint_epochs(back) == [0, 1]
    (back / "checkpoints" / "7.sha256sums").touch()  # of a damaged checkpoint, for which the run started again
    unpack(pack_checkpoint(interrupted, 0), back)
    assert checkpoint_epochs(back) == [0]
    assert (back / "history.jsonl").read_text().count("\n") == 1
    unpack(pack_checkpoint(interrupted, 1), back)
    assert checkpoint_epochs(back) == [0, 1]
    assert file_bytes(back) == file_bytes(interrupted)


def test_a_checkpoint_without_its_checksums_does_not_count(interrupted: Path, tmp_path: Path) -> None:
    *others, last = pack_checkpoint(interrupted, 1).items()
    back = tmp_path / "back"
    unpack(dict(others), back)  # as if the process had been killed before the last file
    assert checkpoint_epochs(back) == []
    unpack(dict([last]), back)
    assert checkpoint_epochs(back) == [1]


def test_all_of_a_folder_is_taken_but_its_lock(interrupted: Path, finished: Path, tmp_path: Path) -> None:
    assert pack_all(tmp_path / "missing") == {}
    folder = Path(shutil.copytree(interrupted, tmp_path / "run"))
    for name in (LOCK, HOLDER):
        (folder / name).touch()
    assert pack_all(folder) == file_bytes(interrupted)
    assert SUMS in pack_all(finished)
