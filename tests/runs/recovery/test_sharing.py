"""Folders shared by several users: files that one may not read or remove are an error, and are never lost."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cnn3 import Dataset, OutputError, fit
from cnn3.runs import loop
from tests.helpers.folders import SUMS, file_bytes
from tests.helpers.users import as_root, nobody
from tests.runs.recovery.run import CONFIG

pytestmark = pytest.mark.usefixtures("quick_to_compile")
NAME_ANOTHER = "name another folder with --output or --runs"
ASK = f"ask its owner for permission, or {NAME_ANOTHER}"


@contextmanager
def shared(folder: Path) -> Iterator[Path]:
    """Yield a copy of a run's folder that everybody may read and write, unlike pytest's own folders."""
    with TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o777)
        copy = Path(shutil.copytree(folder, Path(scratch) / "run"))
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)
        yield copy


def check_refused(folder: Path, dataset: Dataset, message: str) -> None:
    """Check that a run is refused with a message before an epoch is trained, and loses nothing."""
    before = file_bytes(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_run_epoch", None)
        with nobody(), pytest.raises(OutputError) as error:
            fit(CONFIG, dataset, folder)
    assert str(error.value) == message
    assert file_bytes(folder) == before


@as_root
@pytest.mark.parametrize("name", ["best.safetensors", "config.json", "versions.json", SUMS])
def test_a_finished_run_that_cannot_be_read_is_kept(name: str, finished: Path, digits: Dataset) -> None:
    with shared(finished) as folder:
        (folder / name).chmod(0o600)
        check_refused(folder, digits, f"cannot read {folder / name}: Permission denied; {ASK}")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", ["best.safetensors", SUMS])
def test_a_failing_disk_does_not_count_as_damage(
    name: str, number: int, finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    before, read_bytes = file_bytes(folder), Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == name:
            raise OSError(number, os.strerror(number))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(OutputError) as error:
        fit(CONFIG, digits, folder)
    monkeypatch.undo()
    assert str(error.value) == f"cannot read {folder / name}: {os.strerror(number)}; {NAME_ANOTHER}"
    assert file_bytes(folder) == before


@as_root
@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_run_folder_that_cannot_be_entered(state: str, digits: Dataset, request: pytest.FixtureRequest) -> None:
    with shared(request.getfixturevalue(state)) as folder:
        folder.chmod(0o700)
        check_refused(folder, digits, f"cannot read {folder}: Permission denied; {ASK}")


@as_root
@pytest.mark.parametrize(
    "name",
    ["checkpoints/1/history.jsonl", "checkpoints/1.sha256sums", "checkpoints/1", "checkpoints", "initial.safetensors"],
)
def test_an_interrupted_run_that_cannot_be_read_is_kept(name: str, interrupted: Path, digits: Dataset) -> None:
    with shared(interrupted) as folder:
        path = folder / name
        path.chmod(0o700 if path.is_dir() else 0o600)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "_run_epoch", None)
            before = file_bytes(folder)
            with nobody(), pytest.raises(OutputError, match=f"cannot read {path}.*: Permission denied; {ASK}"):
                fit(CONFIG, digits, folder)
            assert file_bytes(folder) == before


@as_root
def test_a_protected_checkpoint_folder_is_reported_before_training(interrupted: Path, digits: Dataset) -> None:
    with shared(interrupted) as folder:
        incomplete = folder / "checkpoints" / "2"  # another user's interrupted save
        incomplete.mkdir(mode=0o755)
        (incomplete / "state").touch()
        check_refused(folder, digits, f"cannot remove {incomplete}: Permission denied; {ASK}")
        (folder / "checkpoints").chmod(0o755)
        check_refused(folder, digits, f"cannot write to {folder / 'checkpoints'}: Permission denied; {NAME_ANOTHER}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "cannot read {}: File name too long; name another folder with --output or --runs"),
        ("gs://bucket/run", "{} is an address, not a folder of this machine; name a folder with --output or --runs"),
    ],
)
def test_an_impossible_folder_is_refused_before_anything_is_created(
    name: str, message: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(name), tmp_path / name):
        with pytest.raises(OutputError) as error:
            fit(CONFIG, digits, folder)
        assert str(error.value) == message.format(folder)
    assert list(tmp_path.iterdir()) == []
