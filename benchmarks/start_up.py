"""How long a user waits: for cnn3 to be imported, and from the command of a digits run to its first training step.

python -m benchmarks.start_up

`import cnn3` alone imports little, so the import of what `cnn3.fit` needs is timed. Each start is a new process that is
killed after its first epoch. The first start finds an empty cache of compiled programs, the others find what it left
there. The first step is assumed to begin when the first record of the history was written, minus the seconds that the
record gives for its epoch. Nothing else should run meanwhile.
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

ARGUMENTS = ["-m", "experiments.improvements", "--dataset", "digits", "--epochs", "2", "--output"]
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Options:
    """Options of the timing.

    Args:
        rounds: number of timings of each.
    """

    rounds: int = 5


def import_seconds() -> float:
    """Return the seconds that a new process takes to import cnn3 and what `cnn3.fit` needs."""
    code = "import time; start = time.perf_counter(); import cnn3; cnn3.fit; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def first_step_seconds(cache: Path) -> float:
    """Return the seconds from the command of a digits run to its first step, with compiled programs cached in a folder.

    Raises:
        RuntimeError: the run ended before its first epoch did.
    """
    with tempfile.TemporaryDirectory() as output:
        start = time.time()
        env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
        process = subprocess.Popen([sys.executable, *ARGUMENTS, output], env=env, stdout=subprocess.DEVNULL)
        try:
            written, record = wait_for_record(process, Path(output))
        finally:
            process.kill()
            process.wait()
    return written - start - record["seconds"]


def wait_for_record(process: subprocess.Popen[bytes], output: Path) -> tuple[float, dict[str, float]]:
    """Wait for the first record of a history in a run's output; return when it was written, and the record."""
    while process.poll() is None:
        for path in output.glob("digits/runs/*/history.jsonl"):
            written, lines = path.stat().st_mtime, path.read_text().splitlines()
            if lines:
                return written, json.loads(lines[0])
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{' '.join(ARGUMENTS)} ended with status {process.returncode} before its first epoch did")


def main() -> None:
    """Time everything, and print a table of the first start and the medians of the others."""
    options = tyro.cli(Options, description=__doc__)
    imports = [import_seconds() for _ in range(options.rounds + 1)][1:]  # the first reads from the disk
    with tempfile.TemporaryDirectory() as cache:
        first, *later = [first_step_seconds(Path(cache)) for _ in range(options.rounds + 1)]
    print("| start | seconds |\n|---|---:|")
    print(f"| `import cnn3; cnn3.fit` | {statistics.median(imports):.2f} |")
    print(f"| digits run to its first step, nothing compiled | {first:.1f} |")
    print(f"| digits run to its first step, started again | {statistics.median(later):.1f} |")


if __name__ == "__main__":
    main()
