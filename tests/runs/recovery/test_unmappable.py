"""A file system without memory-mapped files, like some on networks or in containers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.folders import content
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT, python

MAP_FILE = """
import sys
from safetensors import safe_open
safe_open(f"{sys.argv[1]}/best.safetensors", framework="np")
"""
RESUME = """
import sys
from cnn3 import fit, load, safetensors_file
from tests.runs.recovery.run import CONFIG
from tests.helpers.tiny_experiment import shrink
digits = shrink(load("digits", limit=CONFIG.limit))
for _ in range(2):
    print(sorted(fit(CONFIG, digits, sys.argv[1]).weights))
print(sorted(safetensors_file.read_metadata(f"{sys.argv[1]}/best.safetensors")))
"""


@pytest.mark.whole
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs a C compiler on Linux")
def test_a_run_is_resumed_and_read(interrupted: Path, finished: Path, tmp_path: Path) -> None:
    library, folder = tmp_path / "unmappable.so", Path(shutil.copytree(interrupted, tmp_path / "run"))
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", library, ROOT / "tests" / "helpers" / "unmappable.c", "-ldl"], check=True
    )
    env = {**QUICK_TO_COMPILE, "LD_PRELOAD": str(library), "UNMAPPABLE": str(folder)}
    mapped = python("-c", MAP_FILE, str(folder), env=env)
    assert "No such device" in mapped.stderr
    process = python("-c", RESUME, str(folder), env=env)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [*["['best', 'epoch0', 'initial']"] * 2, "['cnn3', 'format']"]
    assert content(folder) == content(finished)
