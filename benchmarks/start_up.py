"""How long a user waits: for `import cnn3`, and from the command of a digits run to its first training step.

python -m benchmarks.start_up

Each start is a process of its own, in the same environment, that is killed after its first epoch. The first finds an
empty cache of compiled programs, the others find what it has left. The first step is taken to begin so many seconds
before the first record of the history was written as the record says that its epoch took. Nothing else should run
meanwhile.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

RUN = ["-m", "experiments.improvements", "--dataset", "digits", "--epochs", "2", "--output"]
POLL = 0.05  # seconds


@dataclass(frozen=True)
class Options:
    """What is timed.

    Args:
        rounds: times that each is timed.
    """

    rounds: int = 5


def to_import() -> float:
    """Return the seconds that a new process takes to import cnn3."""
    timed = "import time; start = time.perf_counter(); import cnn3; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


def to_first_step(cache: Path) -> float:
    """Return the seconds from the command of a digits run to its first step, with compiled programs kept in a folder.

    Raises:
        RuntimeError: the run ended before its first epoch did.
    """
    with tempfile.TemporaryDirectory() as output:
        begun = time.time()
        env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
        process = subprocess.Popen([sys.executable, *RUN, output], env=env, stdout=subprocess.DEVNULL)
        try:
            written, record = first_record(process, Path(output))
        finally:
            process.kill()
            process.wait()
    return written - begun - record["seconds"]


def first_record(process: subprocess.Popen[bytes], output: Path) -> tuple[float, dict[str, float]]:
    """Wait for the first record of a history in a run's output; return when it was written, and the record."""
    while process.poll() is None:
        for path in output.glob("digits/runs/*/history.jsonl"):
            written, lines = path.stat().st_mtime, path.read_text().splitlines()
            if lines:
                return written, json.loads(lines[0])
        time.sleep(POLL)
    raise RuntimeError(f"{' '.join(RUN)} ended with status {process.returncode} before its first epoch did")


def main() -> None:
    """Time everything, and print a table of the first start and the medians of the others."""
    options = tyro.cli(Options, description=__doc__)
    imports = [to_import() for _ in range(options.rounds + 1)][1:]  # the first reads from the disk
    with tempfile.TemporaryDirectory() as cache:
        first, *others = [to_first_step(Path(cache)) for _ in range(options.rounds + 1)]
    print("| start | seconds |\n|---|---:|")
    print(f"| `import cnn3` | {statistics.median(imports):.2f} |")
    print(f"| digits run to its first step, nothing compiled | {first:.1f} |")
    print(f"| digits run to its first step, started again | {statistics.median(others):.1f} |")


if __name__ == "__main__":
    main()
