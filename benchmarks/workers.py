"""What is timed, each in a process of its own that does one thing when asked and otherwise sleeps.

A worker reads lines and answers each with a line of JSON. To `prepare` it says how long it took to `compile`, and
`program_memory`, what the compiler says that an epoch needs; to `train` or `evaluate`, `images_per_second` and
`peak_memory`, the most bytes held so far, of the GPU's memory if it works there, else of the process's. If it fails it
says why: `failed`.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Timer
from typing import Any

from benchmarks.job import Job, Ready, process_memory

# Several processes share the GPU, so none may take all of its memory; and compiling is timed, so nothing compiled is
# taken from a cache.
ON_A_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_ENABLE_COMPILATION_CACHE": "false"}


class WorkerError(RuntimeError):
    """A worker that has ended before it was to; the message says why."""


class Worker:
    """A worker's process, seen from outside."""

    def __init__(
        self,
        job: Job,
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        python: str | Path = sys.executable,
    ) -> None:
        """Start it, with these variables added to the environment; an answer that takes more seconds ends it."""
        command = [str(python), "-m", "benchmarks.workers", json.dumps(vars(job))]
        self._seconds, self._late = seconds, Event()
        self._folder = tempfile.TemporaryDirectory(prefix="cnn3-worker-")  # for what torch.compile keeps
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": self._folder.name, **(env or {})}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def prepare(self) -> dict[str, Any]:
        """Wait until it can work, and return what it says of its program."""
        return self._ask("prepare")

    def ask(self, what: str) -> dict[str, float]:
        """Let it `train` or `evaluate` once, and return the answer.

        Raises:
            WorkerError: it ended.
        """
        return self._ask(what)

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._folder.cleanup()

    def _ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        timer = Timer(self._seconds, self._kill) if self._seconds else None
        if timer:
            timer.start()
        try:
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
            return self._read()
        except BrokenPipeError:
            return self._read()  # it may have said why
        finally:
            if timer:
                timer.cancel()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "failed" in answer:
                    raise WorkerError(answer["failed"])
                return answer
        late = self._late.is_set() and f"no answer within {self._seconds:.0f} seconds"
        raise WorkerError(late or f"the process ended with status {self._process.wait()}")

    def _kill(self) -> None:
        self._late.set()
        self._process.kill()


def pytorch_on_cpu(job: Job) -> Ready:
    """Load the PyTorch program; return how to time its own loop, whose first step it leaves out."""
    from benchmarks.pytorch_program import load_program

    assert job.program is not None
    program = load_program(
        Path(job.program), Path(job.data_dir), job.variant, job.batch_size, channels_last=job.channels_last
    )
    test = program["loader"](program["Set"](*program["arrays"]("test"), False))
    program["a"].steps = job.images // job.batch_size

    def train() -> float:
        program["model"].train()
        return program["run"](program["train"], True)["images_per_second"]

    def evaluation() -> float:
        program["model"].eval()
        return program["run"](test, False)["images_per_second"]

    work = {"train": train, "evaluate": evaluation}
    for warm_up in work.values():
        warm_up()
    return Ready(0.0, work, process_memory)


def prepare(job: Job) -> Ready:
    """Return a job's program, ready to be timed."""
    if job.program is not None and job.device is None:
        return pytorch_on_cpu(job)
    module = "benchmarks.cnn3_program" if job.program is None else "benchmarks.pytorch_device"
    return importlib.import_module(module).prepare(job)


def answer(job: Job) -> None:
    """Answer each line that is read, until there are no more."""
    importlib.import_module("jax" if job.program is None else "torch")  # meanwhile others may be at work
    if not sys.stdin.readline():
        return
    ready = prepare(job)
    print(json.dumps({"compile": ready.compile_seconds, "program_memory": ready.program_memory}), flush=True)
    for line in sys.stdin:
        rate = ready.work[line.strip()]()
        print(json.dumps({"images_per_second": rate, "peak_memory": ready.peak_memory()}), flush=True)


def main() -> None:
    """Work until there is nothing more to read."""
    try:
        answer(Job(**json.loads(sys.argv[1])))
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        print(json.dumps({"failed": f"{type(error).__name__}: {reason}"}), flush=True)
        raise


if __name__ == "__main__":
    main()
