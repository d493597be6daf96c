"""The README's commands and its program do what it says."""

import os
import re
from pathlib import Path

import pytest

from tests.helpers.documents import README, arguments, blocks
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT, python

DATA = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tensorflow_datasets"))

# Runs an experiment on real images, but few of them, and with one variant, in code that is quick to compile.
FEW = """
import sys
from experiments import improvements
from experiments.support import runner as common
from cnn3 import VARIANTS, Dataset, Split, load
def few(*args, **kwargs):
    data = load(*args, **kwargs)
    validation, test = (Split(*(a[:256] for a in split)) for split in (data.validation, data.test))
    return Dataset(data.name, data.classes, data.train, validation, test)
common.load = few
improvements.VARIANTS = {"baseline": VARIANTS["baseline"]}
sys.exit(improvements.main(sys.argv[1:]))
"""


@pytest.mark.whole
def test_the_main_job_runs_on_cifar10(tmp_path: Path) -> None:
    """Its other command, on digits, is run whole in `test_improvements`."""
    if not DATA.is_dir():
        pytest.skip(f"CIFAR-10 is not at {DATA}; TFDS_DATA_DIR says where it is")
    few = ["--limit", "128", "--epochs", "1", "--output", str(tmp_path)]
    done = python("-c", FEW, *few, env=QUICK_TO_COMPILE | {"TFDS_DATA_DIR": str(DATA)})
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("baseline, seed 3136: ") for line in done.stderr.splitlines())
    assert f"wrote {tmp_path / 'cifar10' / 'improvements' / 'table.md'}" in done.stdout


def test_the_main_job_is_shown_on_both_data_sets() -> None:
    shown = arguments(README, "experiments.improvements")
    assert sum("digits" in args for args in shown) == 1
    assert [] in shown


@pytest.mark.parametrize("document", ["README.md", "RESULTS.md"])
def test_links_lead_to_files(document: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / document).read_text())
    local = [target for target in targets if not target.startswith("https://")]
    assert local
    assert [target for target in local if not (ROOT / target).is_file()] == []


def test_the_answer_is_that_of_the_results() -> None:
    (answer,) = re.findall(r"of (\d+) claims, (\d+) hold, (\d+) do not, and (\d+)", (ROOT / "README.md").read_text())
    first = "Of {} claims, {} hold, {} do not, and {} are undecided.".format(*answer)
    assert first in (ROOT / "RESULTS.md").read_text()


PUBLISHED = {"experiments.improvements": 4, "experiments.hyperparameters": 9, "experiments.optimizers": 5}


@pytest.mark.whole
@pytest.mark.parametrize("module", PUBLISHED)
def test_the_published_runs_are_read_and_none_is_trained(module: str, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip(f"CIFAR-10 is not at {DATA}; TFDS_DATA_DIR says where it is")
    published = ROOT / "docs" / "cifar10" / "runs"
    options = ["--output", str(tmp_path), "--runs", str(published), "--only-finished", "--reuse", "any-version"]
    done = python("-m", module, *options, env={"TFDS_DATA_DIR": str(DATA)})
    assert done.returncode == 0, done.stderr
    count = PUBLISHED[module]
    assert done.stderr.startswith(
        f"{count} of {count} runs are done\n{count} of {count} runs were made with cnn3 0.4.0"
    )


@pytest.mark.whole
def test_the_program_runs(tmp_path: Path) -> None:
    (program,) = blocks(README, "python")
    done = python("-W", "error", "-c", program, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert "(360, 10) (360, 128)" in done.stdout
    assert (tmp_path / "best.safetensors").exists()
