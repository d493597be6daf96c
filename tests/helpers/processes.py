"""Commands in separate processes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK_TO_COMPILE = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiling takes most of a short run's time


def python(*args: str, cwd: Path = ROOT, env: Mapping[str, str] = QUICK_TO_COMPILE) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments and environment variables; return its status and output."""
    command = [sys.executable, *args]
    return subprocess.run(command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False)
