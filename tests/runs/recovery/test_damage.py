"""Runs with damaged files, or trained by another process, end as undisturbed ones do.

The slow tests are marked `faults` and skipped by default: `pytest -m faults`.
"""

import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cnn3 import Dataset, OptimizerConfig, OutputError, RunConfig, files, fit
from cnn3.runs import loop
from cnn3.runs.reuse import read_outcome
from cnn3.runs.run_name import run_name
from experiments.support import runner
from experiments.support.options import Options
from experiments.support.runner import run_all
from tests.helpers.folders import SUMS, content, file_bytes, file_names
from tests.helpers.processes import ROOT
from tests.runs.recovery.log_lines import logged
from tests.runs.recovery.run import CONFIG

WEIGHTS = {"initial.safetensors", "epoch0.safetensors", "best.safetensors"}
FILES = {"config.json", "versions.json", "history.jsonl", "summary.json", *WEIGHTS}
pytestmark = pytest.mark.usefixtures("quick_to_compile")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(flipped)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": truncate, "flipped": flip, "deleted": Path.unlink}
TRAINED_AGAIN, OLDER_CHECKPOINT = "only this run is trained again", "this run resumes from the checkpoint of epoch 1"


def cycle_damages(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each name with one of the damages, in turn."""
    return list(zip(names, cycle(DAMAGES), strict=False))


def check_damages(
    folder: Path,
    finished: Path,
    dataset: Dataset,
    cases: Iterable[tuple[str, str]],
    message: Callable[[str, str], str | None],
) -> None:
    """Damage files of a run one at a time, and check that it continues with one warning and ends as undisturbed."""
    for name, damage in cases:
        with TemporaryDirectory() as scratch, logged() as lines:
            copy = Path(shutil.copytree(folder, Path(scratch) / "run"))
            DAMAGES[damage](copy / name)
            fit(CONFIG, dataset, copy)
            assert content(copy) == content(finished), (name, damage)
            assert read_outcome(copy, CONFIG) is not None
            expected = message(name, damage)
            assert len(lines) == (expected is not None), (name, damage, lines)
            assert all(line.startswith(f"{copy}: ") and line.endswith(f"; {expected}") for line in lines), lines


def test_a_run_leaves_its_checksums(finished: Path) -> None:
    assert set(file_names(finished)) == FILES | {SUMS}
    lines = (finished / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(FILES)
    if shutil.which("sha256sum"):  # which defines the format
        process = subprocess.run(
            ["sha256sum", "--check", "--strict", SUMS], cwd=finished, capture_output=True, check=False
        )
        assert process.returncode == 0, process.stdout


def message_if_finished(name: str, damage: str) -> str:
    return TRAINED_AGAIN


def message_if_interrupted(name: str, damage: str) -> str | None:
    if name in ("initial.safetensors", "epoch0.safetensors"):
        return TRAINED_AGAIN  # both checkpoints need them
    if name.startswith("checkpoints/1") and (name, damage) != ("checkpoints/1.sha256sums", "deleted"):
        return OLDER_CHECKPOINT
    return None  # the newest checkpoint is intact and does not need the file


@pytest.mark.whole
def test_a_damaged_file_of_a_finished_run(finished: Path, digits: Dataset) -> None:
    check_damages(finished, finished, digits, cycle_damages(file_names(finished)), message_if_finished)


@pytest.mark.whole
def test_a_damaged_file_of_an_interrupted_run(interrupted: Path, finished: Path, digits: Dataset) -> None:
    states = [name for name in file_names(interrupted) if "/state/" in name and (interrupted / name).stat().st_size]
    chosen = [name for name in file_names(interrupted) if "/state/" not in name]
    check_damages(
        interrupted, finished, digits, cycle_damages([*chosen, states[0], states[-1]]), message_if_interrupted
    )


@pytest.mark.faults
def test_any_damage_of_any_file(interrupted: Path, finished: Path, digits: Dataset) -> None:
    for folder, message in ((finished, message_if_finished), (interrupted, message_if_interrupted)):
        check_damages(folder, finished, digits, itertools.product(file_names(folder), DAMAGES), message)


def test_an_interruption_before_the_checksums(
    finished: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write

    def interrupted_write(path: Path, text: bytes | str) -> None:
        if path.name == SUMS:
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(files, "write", interrupted_write)
    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, digits, tmp_path)
    monkeypatch.setattr(files, "write", write)
    assert (tmp_path / "summary.json").exists()
    monkeypatch.setattr(loop, "_run_epoch", None)  # nothing is left to train
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(finished)
    assert set(file_names(tmp_path)) == FILES | {SUMS}


def test_without_an_intact_checkpoint_a_run_starts_over(
    interrupted: Path, finished: Path, digits: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    for epoch in (0, 1):
        truncate(tmp_path / "checkpoints" / str(epoch) / "history.jsonl")
    with logged() as lines:
        fit(CONFIG, digits, tmp_path)
    reason = "checkpoints/1/history.jsonl is damaged: its checksum is not that in 1.sha256sums"
    assert lines == [f"{tmp_path}: no checkpoint is intact ({reason}); {TRAINED_AGAIN}"]
    assert content(tmp_path) == content(finished)


@pytest.mark.parametrize("damage", [None, *DAMAGES])
def test_another_run_is_never_touched(damage: str | None, finished: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    if damage is not None:
        DAMAGES[damage](tmp_path / "config.json")
    before = file_bytes(tmp_path)
    other = replace(CONFIG, epochs=4, optimizer=OptimizerConfig("sgd", 0.1, weight_decay=0.0))
    with pytest.raises(OutputError, match="holds another run") as error:
        fit(other, digits, tmp_path)
    if damage is None:
        differences = "optimizer.name 'adam', not 'sgd', optimizer.learning_rate 0.001, not 0.1, "
        differences += "optimizer.weight_decay 0.0003, not 0.0, epochs 3, not 4"
        assert str(error.value) == f"{tmp_path} holds another run ({differences}); name another folder"
    assert file_bytes(tmp_path) == before


def test_other_files_in_the_folder_stay(finished: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    other_files = [tmp_path / name for name in ("notes.txt", "mine.safetensors", ".hidden.tmp")]
    for path in other_files:
        path.touch()
    truncate(tmp_path / "summary.json")
    fit(CONFIG, digits, tmp_path)
    assert all(path.exists() for path in other_files)


def test_file_times_do_not_matter(interrupted: Path, finished: Path, digits: Dataset, tmp_path: Path) -> None:
    for order in (1, -1):  # all zero, and in reverse order
        copy = Path(shutil.copytree(interrupted, tmp_path / str(order)))
        for i, name in enumerate(sorted(file_names(copy), reverse=True)):
            os.utime(copy / name, (0, 0) if order == 1 else (10**9 + i, 10**9 + i))
        with logged() as lines:
            fit(CONFIG, digits, copy)
        assert not lines
        assert content(copy) == content(finished)


HOLDER = """
import sys
from pathlib import Path
from cnn3.runs.locks import run_lock
with run_lock(Path(sys.argv[1]), wait=False):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.whole
def test_a_run_of_another_process_comes_last_and_is_taken_over_when_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(dataset="digits", output=tmp_path, epochs=1, limit=128)
    configs = {name: options.config(model=CONFIG.model, batch_size=size) for name, size in (("a", 64), ("b", 128))}
    folder = files.make_folder(options.folder("runs") / run_name(configs["a"]))
    calls, fit = [], runner.fit

    def recorded(config: RunConfig, *args: Any, wait: bool, **kwargs: Any) -> Any:
        calls.append((config.batch_size, wait))
        return fit(config, *args, wait=wait, **kwargs)

    monkeypatch.setattr(runner, "fit", recorded)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdin=pipe, stdout=pipe, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with logged(other.kill) as lines:
            results = run_all(options, "trial", configs)
    assert calls == [(64, False), (128, False), (64, True)]
    assert lines == [f"{folder} is being trained by process {other.pid} on {socket.gethostname()}: waiting for it"]
    assert [run.summary.epochs for runs in results.values() for run in runs] == [1, 1]


def test_threads_may_write_the_same_file_at_once(tmp_path: Path) -> None:
    path, texts = tmp_path / "file", [str(i) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: [files.write(path, text) for _ in range(20)], texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_history_with_a_truncated_last_line(
    interrupted: Path, finished: Path, digits: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    history = tmp_path / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-9])
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(finished)
