"""Programs that do not fit into memory are refused before they run."""

import psutil
import pytest

from cnn3 import ConfigError, RunConfig, fit, load
from cnn3.nn.layers import xla_block
from cnn3.runs import loop, memory
from cnn3.runs.compilation import compile_epoch
from cnn3.runs.memory import GIB, check_memory, temp_bytes
from cnn3.training.optim import sgd
from cnn3.training.state import make_train_spec
from tests.helpers.tiny import SMALL_RUN, TINY


def test_a_batch_that_does_not_fit_is_refused_by_name():
    check_memory(1, 128)
    with pytest.raises(ConfigError, match=r"batch_size 4096 needs 1048576\.0 GiB of memory .* choose a smaller one"):
        check_memory(2**20 * GIB, 4096)
    assert psutil.virtual_memory().total < 2**20 * GIB


def test_a_limit_of_the_control_group_counts(monkeypatch):
    monkeypatch.setattr(memory, "cgroup_bytes_left", lambda: GIB // 2)
    with pytest.raises(ConfigError, match=r"needs 1\.0 GiB of memory .* 0\.5 GiB are free"):
        check_memory(GIB, 128)


@pytest.mark.whole
def test_temporaries_hold_at_least_a_batch_and_grow_with_it(quick_to_compile):
    specs = [make_train_spec(RunConfig(TINY, batch_size=size), xla_block)._replace(transform=sgd) for size in (32, 128)]
    small, large = (temp_bytes(compile_epoch(spec, 256)) for spec in specs)
    floats = 32 * 32 * 3  # of an image
    assert small > 32 * floats * 4
    assert large > 128 * floats * 4
    assert 2 < large / small < 5


def test_a_run_that_does_not_fit_leaves_no_epoch(quick_to_compile, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "temp_bytes", lambda compiled: 2**20 * GIB)
    with pytest.raises(ConfigError, match=r"batch_size 64 needs"):
        fit(SMALL_RUN, load("digits", limit=SMALL_RUN.limit), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
