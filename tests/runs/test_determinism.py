"""The same configuration gives the same bits on one CPU, whatever else the machine is doing."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
import pytest

from cnn3 import Result, RunConfig, fit, load
from tests.helpers.tiny import SMALL_RUN
from tests.helpers.tiny_experiment import few

pytestmark = [pytest.mark.whole, pytest.mark.usefixtures("quick_to_compile")]

BUSY = "print('busy', flush=True)\nwhile True: sum(range(10**5))"


def trained(config: RunConfig) -> Result:
    return fit(config, few(load("digits", seed=config.seed, limit=config.limit)))


def metrics(result: Result) -> list[dict]:
    return [{name: record[name] for name in ("epoch", "train", "validation")} for record in result.history]


@contextmanager
def others_at_work(count: int) -> Iterator[None]:
    """Keep so many other processes busy."""
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
    alone = trained(config)
    with others_at_work(4):
        among_others = trained(config)
    assert metrics(alone) == metrics(among_others)
    for one, other in zip(jax.tree.leaves(alone.weights), jax.tree.leaves(among_others.weights), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_run():
    other = dataclasses.replace(SMALL_RUN, seed=3137)
    assert metrics(trained(SMALL_RUN)) != metrics(trained(other))
