"""Processes killed at any moment, and several at once: the results are those of an undisturbed run.

These tests are slow, so they are marked `faults` and skipped by default: `pytest -m faults`.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.folders import SUMS, TIMES, content
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT

pytestmark = pytest.mark.faults

COMMAND = [
    sys.executable,
    "-m",
    "tests.helpers.tiny_experiment",
    "--dataset",
    "digits",
    "--limit",
    "256",
    "--epochs",
    "4",
]
PROGRESS = re.compile(r"\w+, seed 3136 \(\d of \d\): (compiling|resuming|epoch )|\d of \d runs are done")
KILLS, SEQUENCES = 50, 2  # sequences at the same time, each in its own folders


def start(output: Path, **env: str) -> subprocess.Popen[str]:
    """Start or resume the tiny experiment."""
    command = [*COMMAND, "--output", str(output)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | QUICK_TO_COMPILE | env, stdout=pipe, stderr=pipe, text=True
    )


def wait(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """Wait for a process, which must succeed; return its lines of progress and its warnings."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    *lines, operations = errors.splitlines()
    assert operations.endswith(" operations")
    shown = [line for line in lines if PROGRESS.match(line)]
    return shown, [line for line in lines if line not in shown]


def results(output: Path) -> dict[str, Any]:
    """Return everything that the tiny experiment writes except times and the tables that show them."""
    runs = {path.name: content(path) for path in (output / "digits" / "runs").iterdir()}
    folder = output / "digits" / "improvements"
    pictures = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    summary = json.loads((folder / "summary.json").read_text())
    return {"runs": runs, "pictures": pictures, "summary": timeless(summary)}


def timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in TIMES}
    return value


def progress(output: Path) -> dict[str, int]:
    """Return the number of epochs of each run that a kill cannot undo."""
    epochs_saved = {}
    for folder in (output / "digits" / "runs").glob("*"):
        epochs = [int(path.stem) + 1 for path in (folder / "checkpoints").glob("*.sha256sums")]
        epochs_saved[folder.name] = 4 if (folder / SUMS).exists() else max(epochs, default=0)
    return epochs_saved


def test_kills_at_any_moment_change_nothing(tmp_path: Path) -> None:
    """Kill the same command repeatedly, at random times and before random file operations, and restart it."""
    started = time.monotonic()
    _, errors = start(tmp_path / "undisturbed").communicate()
    seconds, operations = time.monotonic() - started, int(errors.split()[-2])
    print(f"undisturbed: {operations} operations in {seconds:.0f} s")
    with ThreadPoolExecutor(SEQUENCES) as pool:
        list(pool.map(lambda seed: kill_repeatedly(tmp_path, seed, seconds, operations), range(SEQUENCES)))


def kill_repeatedly(folder: Path, seed: int, seconds: float, operations: int) -> None:
    """Kill and restart until there were enough kills, and compare each result with the undisturbed one."""
    draw = random.Random(seed)
    expected = results(folder / "undisturbed")
    attempts = kills = 0
    output, saved = folder / f"{seed}-0", {}
    empty_cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / f"{seed}-compiled")}  # so that kills hit compilation too
    while kills < KILLS // SEQUENCES:
        attempts += 1
        by_time = attempts % 2
        kill_at = 0 if by_time else int(operations ** draw.random())  # mostly early: a resumed run has fewer
        process = start(output, KILL_AT=str(kill_at), **empty_cache)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=draw.uniform(0, seconds) if by_time else None)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        assert "Traceback" not in errors
        kills += process.returncode != 0
        before, saved = saved, progress(output)
        assert all(saved[name] >= epochs for name, epochs in before.items())  # nothing is lost
        if process.returncode == 0:
            assert results(output) == expected
            output, saved = folder / f"{seed}-{attempts}", {}
        print(f"{kills} kills in {attempts} attempts:", kill_at or "time", list(saved.values()), flush=True)
    wait(start(output, **empty_cache))
    assert results(output) == expected


def test_four_processes_at_once_train_each_run_once(tmp_path: Path) -> None:
    wait(start(tmp_path / "single"))
    shown, warnings = zip(*map(wait, [start(tmp_path / "together") for _ in range(4)]), strict=True)
    assert results(tmp_path / "together") == results(tmp_path / "single")
    epochs = Counter(
        re.findall(r"^(.*: epoch \d/4):", "\n".join(line for lines in shown for line in lines), re.MULTILINE)
    )
    assert len(epochs) == 8
    assert set(epochs.values()) == {1}  # each epoch is trained once
    assert all("is being trained by process" in line for lines in warnings for line in lines), warnings
