"""What befalls runs: damaged files, kills, several processes at once, full disks. The outcome is the undisturbed one.

The long tests are marked `faults` and left out by default: `pytest -m faults`.
"""

import importlib
import itertools
import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cnn3 import Dataset, ModelConfig, OptimizerConfig, OutputError, RunConfig, Split, files, fit, load
from cnn3.checkpoint import read_outcome

fitting = importlib.import_module("cnn3.fit")  # the package exports a function of this name

CONFIG = RunConfig(
    ModelConfig(channels=(2, 2, 2), hidden=(128,)), dataset="digits", limit=128, batch_size=64, epochs=3, snapshots=(0,)
)
TIMES = ("seconds", "images_per_second")
LEFT = {"config.json", "history.jsonl", "summary.json", "initial.safetensors", "epoch0.safetensors", "best.safetensors"}
SUMS = "SHA256SUMS"

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return few(load("digits", limit=CONFIG.limit))


def few(dataset: Dataset) -> Dataset:
    """Return a data set with fewer images to validate and test on."""
    validation, test = (Split(*(a[:64] for a in split)) for split in (dataset.validation, dataset.test))
    return Dataset(dataset.name, dataset.classes, dataset.train, validation, test)


@pytest.fixture(scope="module")
def ended(digits: Dataset, quick_to_compile: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that has ended undisturbed."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    fit(CONFIG, digits, folder)
    return folder


@pytest.fixture(scope="module")
def cut_off(digits: Dataset, quick_to_compile: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was cut off in its third epoch."""
    folder = tmp_path_factory.mktemp("cut_off") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_epoch", interrupted(fitting._epoch, 2))
        with pytest.raises(KeyboardInterrupt):
            fit(CONFIG, digits, folder)
    return folder


def interrupted(epoch: Callable, at: int) -> Callable:
    def until(*args: Any) -> Any:
        if args[-1] == at:
            raise KeyboardInterrupt
        return epoch(*args)

    return until


def content(folder: Path) -> dict[str, Any]:
    """Return all that a run leaves, but for times and checksums."""
    read = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    summary = json.loads(read.pop("summary.json"))
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for record in (summary, *history):
        for name in TIMES:
            record.pop(name, None)
    return {**read, "summary": summary, "history": history}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


DAMAGES: dict[str, Callable[[Path], None]] = {"cut": truncate, "flipped": flip, "deleted": Path.unlink}
ANEW, OLDER = "this run alone is trained anew", "this run goes on from the checkpoint of epoch 1"


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


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
            assert read_outcome(copy, CONFIG, lambda _: ["initial", "epoch0", "best"]) is not None
            expected = said(name, damage)
            assert len(lines) == (expected is not None), (name, damage, lines)
            assert all(line.startswith(f"{copy}: ") and line.endswith(f"; {expected}") for line in lines), lines


@contextmanager
def told() -> Iterator[list[str]]:
    """Yield the lines that are logged."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("cnn3").addHandler(handler)
    yield lines
    logging.getLogger("cnn3").removeHandler(handler)


def test_a_run_leaves_its_checksums(ended: Path) -> None:
    assert set(listing(ended)) == LEFT | {SUMS}
    lines = (ended / SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(LEFT)
    if shutil.which("sha256sum"):  # the format is that of this program
        done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=ended, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout


def said_of_ended(name: str, damage: str) -> str:
    return ANEW


def said_of_cut_off(name: str, damage: str) -> str | None:
    if name == "epoch0.safetensors":
        return ANEW  # both checkpoints need it
    if name.startswith("checkpoints/1") and (name, damage) != ("checkpoints/1.sha256sums", "deleted"):
        return OLDER
    return None  # the newest checkpoint is whole, and has a copy or can do without


def test_a_damaged_file_of_a_run_that_has_ended(ended: Path, digits: Dataset) -> None:
    check_damages(ended, ended, digits, each_in_turn(listing(ended)), said_of_ended)


def test_a_damaged_file_of_a_run_that_was_cut_off(cut_off: Path, ended: Path, digits: Dataset) -> None:
    states = [name for name in listing(cut_off) if "/state/" in name and (cut_off / name).stat().st_size]
    chosen = [name for name in listing(cut_off) if "/state/" not in name]
    check_damages(cut_off, ended, digits, each_in_turn([*chosen, states[0], states[-1]]), said_of_cut_off)


@pytest.mark.faults
def test_any_damage_of_any_file(cut_off: Path, ended: Path, digits: Dataset) -> None:
    for folder, said in ((ended, said_of_ended), (cut_off, said_of_cut_off)):
        check_damages(folder, ended, digits, itertools.product(listing(folder), DAMAGES), said)


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
    monkeypatch.setattr(fitting, "_epoch", None)  # nothing is left to train
    fit(CONFIG, digits, tmp_path)
    assert content(tmp_path) == content(ended)
    assert set(listing(tmp_path)) == LEFT | {SUMS}


def test_without_a_whole_checkpoint_a_run_begins_again(
    cut_off: Path, ended: Path, digits: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(cut_off, tmp_path, dirs_exist_ok=True)
    for epoch in (0, 1):
        truncate(tmp_path / "checkpoints" / str(epoch) / "history.jsonl")
    with told() as lines:
        fit(CONFIG, digits, tmp_path)
    why = "checkpoints/1/history.jsonl is damaged: its checksum is not that in 1.sha256sums"
    assert lines == [f"{tmp_path}: no checkpoint is whole ({why}); {ANEW}"]
    assert content(tmp_path) == content(ended)


@pytest.mark.parametrize("damage", [None, *DAMAGES])
def test_another_run_is_never_touched(damage: str | None, ended: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    if damage is not None:
        DAMAGES[damage](tmp_path / "config.json")
    before = {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)}
    other = replace(CONFIG, epochs=4, optimizer=OptimizerConfig("sgd", 0.1, weight_decay=0.0))
    with pytest.raises(OutputError, match="holds another run") as error:
        fit(other, digits, tmp_path)
    if damage is None:
        differs = "optimizer.name 'adam', not 'sgd', optimizer.learning_rate 0.001, not 0.1, "
        differs += "optimizer.weight_decay 0.0003, not 0.0, epochs 3, not 4"
        assert str(error.value) == f"{tmp_path} holds another run ({differs}); name another folder"
    assert {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)} == before


def test_what_else_lies_in_a_folder_stays(ended: Path, digits: Dataset, tmp_path: Path) -> None:
    shutil.copytree(ended, tmp_path, dirs_exist_ok=True)
    mine = [tmp_path / name for name in ("notes.txt", "mine.safetensors", ".hidden.tmp")]
    for path in mine:
        path.touch()
    truncate(tmp_path / "summary.json")
    fit(CONFIG, digits, tmp_path)
    assert all(path.exists() for path in mine)
