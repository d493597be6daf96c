"""Workers: processes that each run one program when asked, and otherwise sleep.

A worker reads lines and answers each with a line of JSON: `prepare` with the seconds to `compile` and `program_memory`,
the bytes that an epoch needs according to the compiler; `train` and `evaluate` with `images_per_second` and
`peak_memory`, the peak so far in bytes, of the GPU if it works there, else of the process. A failure is answered with
its reason: `failed`.
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

# Several processes share the GPU, so none may take all of its memory. Compiling is timed, so there is no cache.
GPU_ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_ENABLE_COMPILATION_CACHE": "false"}


class WorkerError(RuntimeError):
    """A worker that ended early; the message says why."""


class Worker:
    """A worker's process, seen from its parent."""

    def __init__(
        self,
        job: Job,
        env: Mapping[str, str] | None = None,
        seconds: float | None = None,
        python: str | Path = sys.executable,
    ) -> None:
        """Start it with `env` added to the environment; it is killed if an answer takes more than `seconds`."""
        command = [str(python), "-m", "benchmarks.workers", json.dumps(vars(job))]
        self._seconds, self._timed_out = seconds, Event()
        self._folder = tempfile.TemporaryDirectory(prefix="cnn3-worker-")  # for the cache of torch.compile
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": self._folder.name, **(env or {})}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def prepare(self) -> dict[str, Any]:
        """Wait until it is ready, and return its answer."""
        return self._ask("prepare")

    def ask(self, phase: str) -> dict[str, float]:
        """Let it `train` or `evaluate` once, and return its answer.

        Raises:
            WorkerError: it ended.
        """
        return self._ask(phase)

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._folder.cleanup()

    def _ask(self, request: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        timer = Timer(self._seconds, self._kill) if self._seconds else None
        if timer:
            timer.start()
        try:
            self._process.stdin.write(f"{request}\n")
            self._process.stdin.flush()
            return self._read()
        except BrokenPipeError:
            return self._read()  # the reason may be there
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
        timeout = self._timed_out.is_set() and f"no answer within {self._seconds:.0f} seconds"
        raise WorkerError(timeout or f"the process ended with status {self._process.wait()}")

    def _kill(self) -> None:
        self._timed_out.set()
        self._process.kill()


def pytorch_on_cpu(job: Job) -> Ready:
    """Load the PyTorch program, and time its own loop, which leaves out its first step."""
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

    def evaluate() -> float:
        program["model"].eval()
        return program["run"](test, False)["images_per_second"]

    work = {"train": train, "evaluate": evaluate}
    for warm_up in work.values():
        warm_up()
    return Ready(0.0, work, process_memory)


def prepare(job: Job) -> Ready:
    """Return a job's program, ready to be timed."""
    if job.program is not None and job.device is None:
        return pytorch_on_cpu(job)
    module = "benchmarks.cnn3_program" if job.program is None else "benchmarks.pytorch_device"
    return importlib.import_module(module).prepare(job)


def serve(job: Job) -> None:
    """Answer each line until the input ends."""
    importlib.import_module("jax" if job.program is None else "torch")  # while other workers start
    if not sys.stdin.readline():
        return
    ready = prepare(job)
    print(json.dumps({"compile": ready.compile_seconds, "program_memory": ready.program_memory}), flush=True)
    for line in sys.stdin:
        rate = ready.work[line.strip()]()
        print(json.dumps({"images_per_second": rate, "peak_memory": ready.peak_memory()}), flush=True)


def main() -> None:
    """Serve the job on the command line."""
    try:
        serve(Job(**json.loads(sys.argv[1])))
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        print(json.dumps({"failed": f"{type(error).__name__}: {reason}"}), flush=True)
        raise


if __name__ == "__main__":
    main()
