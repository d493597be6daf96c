"""A day of training in miniature: the memory, files and threads of a process do not grow."""

import gc
import threading
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import pytest

from cnn3 import RunConfig, fit, load
from tests.helpers.tiny import TINY

EPOCHS, EVERY, WARM_UP = 300, 10, 5  # samples are taken every so many epochs; the first ones are left out
MIB = 2**20


@pytest.mark.faults
def test_memory_files_and_threads_do_not_grow(tmp_path: Path, quick_to_compile: None) -> None:
    """Seen from epoch 75 to 450: 539 to 567 MiB, up and down, 7 files, 2 threads."""
    process = psutil.Process()
    usage: list[tuple[int, int, int]] = []

    def watch(record: dict[str, Any]) -> None:
        if (record["epoch"] + 1) % EVERY == 0:
            gc.collect()
            usage.append((process.memory_info().rss, process.num_fds(), threading.active_count()))

    config = RunConfig(TINY, dataset="digits", limit=64, batch_size=32, epochs=EPOCHS, patience=EPOCHS)
    result = fit(config, load("digits", limit=64), tmp_path / "run", on_epoch=watch)
    assert len(result.history) == EPOCHS
    memory, files, threads = zip(*usage[WARM_UP:], strict=True)
    third = len(memory) // 3
    growth = fmean(memory[-third:]) - fmean(memory[:third])
    print(f"{growth / MIB:.1f} MiB; files {files[0]} to {files[-1]}; threads {threads[0]} to {threads[-1]}")
    assert growth < 32 * MIB
    assert files[-1] <= files[0] + 2
    assert threads[-1] <= threads[0]
