"""What is timed, each in a process of its own that does one thing when asked and otherwise sleeps.

A worker reads `train` or `evaluate`, a line each, and answers with a line of JSON: `images_per_second`, and
`peak_memory`, the most bytes that its process has held so far. Its first line says how long it took to `compile`.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Mapping[str, Callable[[], float]]  # by what is asked for, images per second


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        variant: one of `cnn3.VARIANTS`.
        batch_size: images a step.
        images: how many one timing takes, a multiple of the batch size.
        program: the PyTorch program, None for cnn3.
        channels_last: whether it keeps images in that layout.
    """

    data_dir: str
    variant: str
    batch_size: int
    images: int
    program: str | None = None
    channels_last: bool = False


class Worker:
    """A worker's process, seen from outside."""

    def __init__(self, job: Job) -> None:
        """Start it and wait until it can work."""
        command = [sys.executable, "-m", "benchmarks.workers", json.dumps(vars(job))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.compile_seconds: float = self._read()["compile"]

    def ask(self, what: str) -> dict[str, float]:
        """Let it `train` or `evaluate` once, and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended")  # type: ignore[arg-type]


def cnn3_work(job: Job) -> tuple[float, Work]:
    """Compile cnn3's epoch and evaluation; return the seconds that took, and how to time them."""
    import jax
    import numpy as np

    from cnn3 import VARIANTS, RunConfig, default_block, load
    from cnn3.compilation import compile_epoch
    from cnn3.data import Split
    from cnn3.optim import hyperparameters
    from cnn3.train import evaluate, init_state, make_program

    config = RunConfig(VARIANTS[job.variant], batch_size=job.batch_size)
    program = make_program(config, default_block())
    dataset = load("cifar10", job.data_dir, limit=job.images)
    train, test = jax.device_put((dataset.train, Split(*(a[: job.images] for a in dataset.test))))
    hyper = jax.device_put(jax.tree.map(np.float32, hyperparameters(config)))
    seed = jax.device_put(np.int32(config.seed))
    start = time.perf_counter()
    epoch = compile_epoch(program, job.images)
    compiled = time.perf_counter() - start
    states = [init_state(program, seed)]

    def run_epoch() -> Any:
        states[0], sums = epoch(states[0], hyper, *train, seed, seed)
        return sums

    def run_evaluation() -> Any:
        return evaluate(program.model, job.batch_size, states[0].weights, *test, len(test.labels))

    def rate(run: Callable[[], Any]) -> float:
        start = time.perf_counter()
        jax.block_until_ready(run())
        return job.images / (time.perf_counter() - start)

    work = {"train": lambda: rate(run_epoch), "evaluate": lambda: rate(run_evaluation)}
    return compiled, work


def pytorch_work(job: Job, path: str) -> tuple[float, Work]:
    """Load the PyTorch program; return how to time its own loop, whose first step it leaves out."""
    from benchmarks.pytorch_program import load_program

    program = load_program(Path(path), Path(job.data_dir), job.variant, job.batch_size, channels_last=job.channels_last)
    test = program["loader"](program["Set"](*program["arrays"]("test"), False))
    program["a"].steps = job.images // job.batch_size

    def train() -> float:
        program["model"].train()
        return program["run"](program["train"], True)["images_per_second"]

    def evaluation() -> float:
        program["model"].eval()
        return program["run"](test, False)["images_per_second"]

    return 0.0, {"train": train, "evaluate": evaluation}


def main() -> None:
    """Work until there is nothing more to read."""
    job = Job(**json.loads(sys.argv[1]))
    compiled, work = pytorch_work(job, job.program) if job.program else cnn3_work(job)
    for warm_up in work.values():
        warm_up()
    print(json.dumps({"compile": compiled}), flush=True)
    for line in sys.stdin:
        rate = work[line.strip()]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"images_per_second": rate, "peak_memory": peak}), flush=True)


if __name__ == "__main__":
    main()
