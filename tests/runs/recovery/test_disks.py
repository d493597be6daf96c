"""Full disks and read-only folders: once the fault is gone, runs end as undisturbed ones do.

The slow tests are marked `faults` and skipped by default: `pytest -m faults`.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cnn3 import Dataset, OutputError, fit
from cnn3.runs import loop
from tests.helpers.folders import content
from tests.runs.recovery.run import CONFIG

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a file system in memory at a folder; yield a function that remounts it with other options."""
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, size, "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not permitted")
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True) and None
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.faults
@pytest.mark.parametrize(
    "size", [*(f"size={kilobytes}k" for kilobytes in (4, 24, 64, 512, 1100, 1200, 1400)), "size=9m,nr_inodes=30"]
)
def test_a_full_disk(size: str, finished: Path, digits: Dataset, tmp_path: Path) -> None:
    with small_disk(tmp_path, size) as remount:
        for _ in range(2):
            with pytest.raises(OutputError, match="No space left on device") as error:
                fit(CONFIG, digits, tmp_path / "run")
            assert "\n" not in str(error.value)
        remount("size=64m,nr_inodes=10000")
        fit(CONFIG, digits, tmp_path / "run")
        assert content(tmp_path / "run") == content(finished)


@pytest.mark.parametrize("size", [10, 1000, 20_000])
def test_files_over_the_size_limit(size: int, finished: Path, digits: Dataset, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            fit(CONFIG, digits, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(finished)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Forbid writing to a folder."""
    user = os.geteuid() != 0  # root may write whatever the permissions are
    forbid, allow = (["chmod", "u-w"], ["chmod", "u+w"]) if user else (["chattr", "+i"], ["chattr", "-i"])
    if subprocess.run([*forbid, folder], capture_output=True, check=False).returncode:
        pytest.skip("root can write everywhere, and this file system has no immutable folders")
    try:
        yield
    finally:
        subprocess.run([*allow, folder], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("unwritable_from", [0, 1, 2])
def test_a_folder_that_becomes_unwritable(
    unwritable_from: int, finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch, folder = loop._run_epoch, tmp_path / "run"
    refused = "Operation not permitted|Permission denied"
    with ExitStack() as stack:

        def make_unwritable(*args: Any) -> Any:
            if args[-1] == unwritable_from:
                stack.enter_context(unwritable(folder))
            return epoch(*args)

        monkeypatch.setattr(loop, "_run_epoch", make_unwritable)
        with pytest.raises(OutputError, match=f"cannot write .*({refused})"):
            fit(CONFIG, digits, folder)
        monkeypatch.setattr(loop, "_run_epoch", epoch)
        with pytest.raises(OutputError, match=f"cannot write to .*({refused}); name another folder with --output"):
            fit(CONFIG, digits, folder)
    fit(CONFIG, digits, folder)
    assert content(folder) == content(finished)
