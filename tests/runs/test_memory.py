"""What is too large for memory is refused before it is run."""

import importlib

import psutil
import pytest

from cnn3 import ConfigError, RunConfig, load
from cnn3.nn.layers import xla_block
from cnn3.runs import memory
from cnn3.runs.compilation import compile_epoch
from cnn3.runs.memory import GIB, check_memory, temporaries
from cnn3.training.state import make_train_spec
from tests.helpers.tiny import SMALL_RUN, TINY

fit = importlib.import_module("cnn3.runs.fit")


def test_what_does_not_fit_is_refused_in_words():
    check_memory(1, 128)
    with pytest.raises(ConfigError, match=r"batch_size 4096 needs 1048576\.0 GiB of memory .* choose a smaller one"):
        check_memory(2**20 * GIB, 4096)
    assert psutil.virtual_memory().total < 2**20 * GIB


def test_a_limit_of_the_process_counts(monkeypatch):
    monkeypatch.setattr(memory, "memory_left", lambda: GIB // 2)
    with pytest.raises(ConfigError, match=r"needs 1\.0 GiB of memory .* 0\.5 GiB are free"):
        check_memory(GIB, 128)


def test_temporaries_are_at_least_a_batch_and_grow_with_it(quick_to_compile):
    specs = [make_train_spec(RunConfig(TINY, batch_size=size), xla_block)._replace(family="sgd") for size in (32, 128)]
    small, large = (temporaries(compile_epoch(spec, 256)) for spec in specs)
    floats = 32 * 32 * 3  # of an image, as the network takes it
    assert small > 32 * floats * 4
    assert large > 128 * floats * 4
    assert 2 < large / small < 5


def test_a_run_that_does_not_fit_leaves_no_epoch(quick_to_compile, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "temporaries", lambda compiled: 2**20 * GIB)
    with pytest.raises(ConfigError, match=r"batch_size 64 needs"):
        fit.fit(SMALL_RUN, load("digits", limit=SMALL_RUN.limit), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
