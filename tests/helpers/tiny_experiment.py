"""The experiment on the improvement techniques with tiny networks and few images, to be killed at file operations.

    python -m tests.helpers.tiny_experiment OPTIONS

KILL_AT=N in the environment kills it, as `kill -9` does, before its Nth operation on files of the output folder. At its
end it prints the number of operations to stderr.
"""

import os
import signal
import sys
from dataclasses import replace
from typing import Any

from cnn3 import Dataset, Split, load
from cnn3.runs import loop
from experiments import improvements
from experiments.support import runner, worker
from tests.helpers.tiny import TINY

OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # as Python's audit events call them


def shrink(dataset: Dataset) -> Dataset:
    """Return a data set with fewer images to validate and test on."""
    validation, test = (Split(*(a[:64] for a in split)) for split in (dataset.validation, dataset.test))
    return Dataset(dataset.name, dataset.classes, dataset.train, validation, test)


class Killer:
    """Counts the operations on files in a folder, and kills the process before one of them."""

    def __init__(self, folder: str, kill_at: int) -> None:
        self.folder, self.kill_at, self.count = folder, kill_at, 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in OPERATIONS and str(args[0]).startswith(self.folder):
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def speed_up() -> None:
    """Use few images and write a checkpoint after each epoch, in this process."""
    runner.load = worker.load = lambda *args, **kwargs: shrink(load(*args, **kwargs))
    loop.CHECKPOINT_SECONDS = 0.0


def main(args: list[str]) -> int:
    killer = Killer(args[args.index("--output") + 1], int(os.environ.get("KILL_AT", "0")))
    sys.addaudithook(killer)
    speed_up()
    improvements.VARIANTS = {"plain": replace(TINY, batch_norm=False), "batch_norm": TINY}
    status = improvements.main(args)
    print(f"{killer.count} operations", file=sys.stderr)
    return status


if __name__ == "__mp_main__":  # in a worker of --jobs
    speed_up()
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
