"""The experiment on the improvement techniques with tiny networks, whose runs can be stopped in the middle.

    python -m tests.helpers.ray_study OPTIONS

If CNN3_TEST_GATE in the environment names a file, no run goes on to its third epoch before that file exists.
"""

import os
import sys
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from cnn3 import Dataset
from cnn3.runs import loop
from experiments import improvements
from experiments.support.runner import run_all
from tests.helpers.tiny import TINY

EPOCHS, STOPS_AT = 4, 2


def stop_at_gate(dataset: Dataset) -> Dataset:
    """Let this process wait for the gate in the middle of its run; the data set stays as it is."""
    gate = os.environ.get("CNN3_TEST_GATE")
    if gate is not None:
        run_epoch = loop._run_epoch

        def wait_and_run_epoch(*args: Any) -> Any:
            while args[-1] >= STOPS_AT and not Path(gate).exists():
                time.sleep(0.05)
            return run_epoch(*args)

        loop._run_epoch = wait_and_run_epoch
    return dataset


def main(args: list[str]) -> int:
    improvements.VARIANTS = {"plain": replace(TINY, batch_norm=False), "batch_norm": TINY}
    improvements.run_all = partial(run_all, prepare=stop_at_gate)
    common = ["--dataset", "digits", "--limit", "256", "--epochs", str(EPOCHS), "--seeds", "2"]
    return improvements.main([*common, *args])


if __name__ == "__main__":
    # under the name by which nodes find `stop_at_gate`
    sys.exit(import_module("tests.helpers.ray_study").main(sys.argv[1:]))
