"""The same configuration gives the same bits on one CPU, regardless of other processes."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import chex
import pytest

from cnn3 import Result, RunConfig, fit, load
from tests.helpers.tiny import SMALL_RUN
from tests.helpers.tiny_experiment import shrink

pytestmark = [pytest.mark.whole, pytest.mark.usefixtures("quick_to_compile")]

BUSY = "print('busy', flush=True)\nwhile True: sum(range(10**5))"


def train(config: RunConfig) -> Result:
    return fit(config, shrink(load("digits", seed=config.seed, limit=config.limit)))


def metrics(result: Result) -> list[dict]:
    return [{name: record[name] for name in ("epoch", "train", "validation")} for record in result.history]


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep `count` other processes busy."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"busy\n"
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_other_processes_change_no_bit():
    config = dataclasses.replace(SMALL_RUN, epochs=2)
    alone = train(config)
    with busy_processes(4):
        with_others = train(config)
    assert metrics(alone) == metrics(with_others)
    chex.assert_trees_all_equal(alone.weights, with_others.weights, strict=True)


def test_another_seed_gives_another_run():
    other = dataclasses.replace(SMALL_RUN, seed=3137)
    assert metrics(train(SMALL_RUN)) != metrics(train(other))
