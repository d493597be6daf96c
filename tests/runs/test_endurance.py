"""A day of training in miniature: the memory, files and threads of a process do not grow."""

import gc
import threading

import psutil
import pytest

from cnn3 import RunConfig, fit, load
from cnn3.runs.folder import RunFolder
from tests.helpers.tiny import TINY

EPOCHS, WARM_UP = 300, 50
MIB = 2**20


@pytest.mark.faults
def test_memory_files_and_threads_do_not_grow(tmp_path, monkeypatch, quick_to_compile):
    """Seen over the last 250 epochs: 933 to 949 MiB, 9 files, 1 thread."""
    process = psutil.Process()
    usage: list[tuple[int, int, int]] = []

    def watch(*args, **kwargs):
        gc.collect()
        usage.append((process.memory_info().rss, process.num_fds(), threading.active_count()))
        return save(*args, **kwargs)

    save = RunFolder.save
    monkeypatch.setattr(RunFolder, "save", watch)
    config = RunConfig(TINY, dataset="digits", limit=64, batch_size=32, epochs=EPOCHS, patience=EPOCHS)
    result = fit(config, load("digits", limit=64), tmp_path / "run")
    assert len(result.history) == len(usage) == EPOCHS
    memory, files, threads = zip(*usage[WARM_UP:], strict=True)
    series = {"MiB": [size // MIB for size in memory], "files": files, "threads": threads}
    print({name: f"{values[0]} to {values[-1]}" for name, values in series.items()})
    assert memory[-1] - memory[0] < 32 * MIB
    assert files[-1] <= files[0] + 2
    assert threads[-1] <= threads[0]
