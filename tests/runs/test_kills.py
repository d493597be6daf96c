"""Processes that are killed at any moment, and several at once: the outcome is the undisturbed one.

They take long, so they are marked `faults` and left out by default: `pytest -m faults`.
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
PROGRESS = re.compile(r"\w+, seed 3136: (compiling|resuming|epoch )|\d of \d runs are done")
KILLS, SEQUENCES = 50, 2  # two at the same time, each in folders of its own


def start(output: Path, **env: str) -> subprocess.Popen[str]:
    """Begin the tiny experiment, or go on with it."""
    command = [*COMMAND, "--output", str(output)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | QUICK_TO_COMPILE | env, stdout=pipe, stderr=pipe, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """Wait for a process that has to end well; return its lines of progress, and what it said of faults."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    *lines, operations = errors.splitlines()
    assert operations.endswith(" operations")
    shown = [line for line in lines if PROGRESS.match(line)]
    return shown, [line for line in lines if line not in shown]


def left(output: Path) -> dict[str, Any]:
    """Return all that the tiny experiment leaves, but for times, and the tables that show them."""
    runs = {path.name: content(path) for path in (output / "digits" / "runs").iterdir()}
    folder = output / "digits" / "improvements"
    pictures = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    summary = json.loads((folder / "summary.json").read_text())
    return {"runs": runs, "pictures": pictures, "summary": timeless(summary)}


def timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [timeless(of) for of in value]
    if isinstance(value, dict):
        return {name: timeless(of) for name, of in value.items() if name not in TIMES}
    return value


def progress(output: Path) -> dict[str, int]:
    """Return how many epochs of each run are safe."""
    done = {}
    for folder in (output / "digits" / "runs").glob("*"):
        epochs = [int(path.stem) + 1 for path in (folder / "checkpoints").glob("*.sha256sums")]
        done[folder.name] = 4 if (folder / SUMS).exists() else max(epochs, default=0)
    return done


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Kill the same command again and again, by the clock and before operations on files, and start it again."""
    begun = time.monotonic()
    _, errors = start(tmp_path / "undisturbed").communicate()
    seconds, operations = time.monotonic() - begun, int(errors.split()[-2])
    print(f"undisturbed: {operations} operations in {seconds:.0f} s")
    with ThreadPoolExecutor(SEQUENCES) as pool:
        list(pool.map(lambda seed: kill_again_and_again(tmp_path, seed, seconds, operations), range(SEQUENCES)))


def kill_again_and_again(folder: Path, seed: int, seconds: float, operations: int) -> None:
    """Kill and start again until there were enough kills; all ends as in the folder of the undisturbed."""
    draw = random.Random(seed)
    whole = left(folder / "undisturbed")
    attempts = kills = 0
    output, safe = folder / f"{seed}-0", {}
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(folder / f"{seed}-compiled")}  # empty: compiling is killed too
    while kills < KILLS // SEQUENCES:
        attempts += 1
        by_clock = attempts % 2
        at = 0 if by_clock else int(operations ** draw.random())  # mostly early: once a part is done, fewer are left
        process = start(output, KILL_AT=str(at), **compiled)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=draw.uniform(0, seconds) if by_clock else None)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        assert "Traceback" not in errors
        kills += process.returncode != 0
        before, safe = safe, progress(output)
        assert all(safe[name] >= epochs for name, epochs in before.items())  # nothing is lost
        if process.returncode == 0:
            assert left(output) == whole
            output, safe = folder / f"{seed}-{attempts}", {}
        print(f"{kills} kills in {attempts} attempts:", at or "clock", list(safe.values()), flush=True)
    end(start(output, **compiled))
    assert left(output) == whole


def test_four_at_once(tmp_path: Path) -> None:
    end(start(tmp_path / "alone"))
    shown, said = zip(*map(end, [start(tmp_path / "together") for _ in range(4)]), strict=True)
    assert left(tmp_path / "together") == left(tmp_path / "alone")
    epochs = Counter(
        re.findall(r"^(.*: epoch \d/4):", "\n".join(line for lines in shown for line in lines), re.MULTILINE)
    )
    assert len(epochs) == 8
    assert set(epochs.values()) == {1}  # every run is trained once
    assert all("is being trained by process" in line for lines in said for line in lines), said
