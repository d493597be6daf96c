"""What befalls runs: damaged files, other versions, another process. The outcome is the undisturbed one.

The long tests are marked `faults` and left out by default: `pytest -m faults`.
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
from experiments.support import runner as common
from experiments.support.options import Options
from experiments.support.runner import run_all
from tests.helpers.folders import SUMS, content, file_bytes, file_names
from tests.helpers.processes import ROOT
from tests.runs.recovery.reports import told
from tests.runs.recovery.run import CONFIG

WEIGHTS = {"initial.safetensors", "epoch0.safetensors", "best.safetensors"}
LEFT = {"config.json", "versions.json", "history.jsonl", "summary.json", *WEIGHTS}
pytestmark = pytest.mark.usefixtures("quick_to_compile")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": truncate, "flipped": flip, "deleted": Path.unlink}
ANEW, OLDER = "only this run is trained again", "this run resumes from the checkpoint of epoch 1"


def each_in_turn(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return names, each with one of the damages."""
    return list(zip(names, cycle(DAMAGES), strict=False))


def check_damages(
    folder: Path,
    ended: Path,
    dataset: Dataset,
    tried: Iterable[tuple[str, str]],
    said: Callable[[str, str], str | None],
) -> None:
    """Damage files of a run, one at a time, and see that it goes on, says so in one line, and ends as undisturbed."""
    for name, damage in tried:
        with TemporaryDirectory() as scratch, told() as lines:
            copy = Path(shutil.copytree(folder, Path(scratch) / "run"))
            DAMAGES[damage](copy / name)
            fit(CONFIG, dataset, copy)
            assert content(copy) == content(ended), (name, damage)
            assert read_outcome(copy, CONFIG) is not None
            expected = said(name, damage)
            assert len(lines) == (expected is not None), (name, damage, lines)
            assert all(line.startswith(f"{copy}: ") and line.endswith(f"; {expected}") for line in lines), lines


def test_a_run_leaves_its_checksums(ended: Path) -> None:
    assert set(file_names(ended)) == LEFT | {SUMS}
    lines = (ended / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(LEFT)
    if shutil.which("sha256sum"):  # the format is that of this program
        done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=ended, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout


def said_of_ended(name: str, damage: str) -> str:
    return ANEW


def said_of_cut_off(name: str, damage: str) -> str | None:
    if name in ("initial.safetensors", "epoch0.safetensors"):
        return ANEW  # both checkpoints need them
    if name.startswith("checkpoints/1") and (name, damage) != ("checkpoints/1.sha256sums", "deleted"):
        return OLDER
    return None  # the newest checkpoint is whole, and has a copy or can do without


@pytest.mark.whole
def test_a_damaged_file_of_a_run_that_has_ended(ended: Path, digits: Dataset) -> None:
    check_damages(ended, ended, digits, each_in_turn(file_names(ended)), said_of_ended)


@pytest.mark.whole
def test_a_damaged_file_of_a_run_that_was_cut_off(cut_off: Path, ended: Path, digits: Dataset) -> None:
    states = [name for name in file_names(cut_off) if "/state/" in name and (cut_off / name).stat().st_size]
    chosen = [name for name in file_names(cut_off) if "/state/" not in name]
    check_damages(cut_off, ended, digits, each_in_turn([*chosen, states[0], states[-1]]), said_of_cut_off)


@pytest.mark.faults
def test_any_damage_of_any_file(cut_off: Path, ended: Path, digits: Dataset) -> None:
    for folder, said in ((ended, said_of_ended), (cut_off, said_of_cut_off)):
        check_damages(folder, ended, digits, itertools.product(file_names(folder), DAMAGES), said)


def test_an_end_that_was_cut_off(ended: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.write

    def cut(path: Path, text: bytes | str) -> None:
        if path.name == SUMS:
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(files, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, digits, tmp_path)
    monkeypatch.setattr(files, "write", write)
    assert (tmp_path / "summary.json").exists()
    monkeypatch.setattr(loop, "_run_epoch", None)  # nothing is left to train
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(ended)
    assert set(file_names(tmp_path)) == LEFT | {SUMS}


def test_without_a_whole_checkpoint_a_run_begins_again(
    cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    for epoch in (0, 1):
        truncate(tmp_path / "checkpoints" / str(epoch) / "history.jsonl")
    with told() as lines:
        fit(CONFIG, digits, tmp_path)
    why = "checkpoints/1/history.jsonl is damaged: its checksum is not that in 1.sha256sums"
    assert lines == [f"{tmp_path}: no checkpoint is intact ({why}); {ANEW}"]
    assert content(tmp_path) == content(ended)


@pytest.mark.parametrize("damage", [None, *DAMAGES])
def test_another_run_is_never_touched(damage: str | None, ended: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    if damage is not None:
        DAMAGES[damage](tmp_path / "config.json")
    before = file_bytes(tmp_path)
    other = replace(CONFIG, epochs=4, optimizer=OptimizerConfig("sgd", 0.1, weight_decay=0.0))
    with pytest.raises(OutputError, match="holds another run") as error:
        fit(other, digits, tmp_path)
    if damage is None:
        differs = "optimizer.name 'adam', not 'sgd', optimizer.learning_rate 0.001, not 0.1, "
        differs += "optimizer.weight_decay 0.0003, not 0.0, epochs 3, not 4"
        assert str(error.value) == f"{tmp_path} holds another run ({differs}); name another folder"
    assert file_bytes(tmp_path) == before


def test_what_else_lies_in_a_folder_stays(ended: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    mine = [tmp_path / name for name in ("notes.txt", "mine.safetensors", ".hidden.tmp")]
    for path in mine:
        path.touch()
    truncate(tmp_path / "summary.json")
    fit(CONFIG, digits, tmp_path)
    assert all(path.exists() for path in mine)


def test_no_time_of_a_file_counts(cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path) -> None:
    for order in (1, -1):  # all of the epoch's beginning; and as if written in reverse
        copy = Path(shutil.copytree(cut_off, tmp_path / str(order)))
        for i, name in enumerate(sorted(file_names(copy), reverse=True)):
            os.utime(copy / name, (0, 0) if order == 1 else (10**9 + i, 10**9 + i))
        with told() as lines:
            fit(CONFIG, digits, copy)
        assert not lines
        assert content(copy) == content(ended)


HOLDER = """
import sys
from pathlib import Path
from cnn3.runs.locks import run_lock
with run_lock(Path(sys.argv[1]), wait=False):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.whole
def test_what_another_process_trains_is_waited_for_last_and_taken_over_when_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(dataset="digits", output=tmp_path, epochs=1, limit=128)
    configs = {name: options.config(model=CONFIG.model, batch_size=size) for name, size in (("a", 64), ("b", 128))}
    folder = files.make_folder(options.folder("runs") / run_name(configs["a"]))
    asked, fit = [], common.fit

    def spied(config: RunConfig, *args: Any, wait: bool, **rest: Any) -> Any:
        asked.append((config.batch_size, wait))
        return fit(config, *args, wait=wait, **rest)

    monkeypatch.setattr(common, "fit", spied)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], stdin=pipe, stdout=pipe, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with told(other.kill) as lines:
            found = run_all(options, "trial", configs)
    assert asked == [(64, False), (128, False), (64, True)]
    assert lines == [f"{folder} is being trained by process {other.pid} on {socket.gethostname()}: waiting for it"]
    assert [run.summary.epochs for runs in found.values() for run in runs] == [1, 1]


def test_threads_write_the_same_file_at_once(tmp_path: Path) -> None:
    path, texts = tmp_path / "file", [str(i) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(lambda text: [files.write(path, text) for _ in range(20)], texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_history_whose_last_line_is_cut(cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    history = tmp_path / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-9])
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(ended)
