"""Each command and each Python program of the documents is run, or listed here with the reason why it is not."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import tyro

from experiments.support import entry
from experiments.support.options import Options
from experiments.support.options import parse as parse_experiment
from tests.helpers.documents import DOCUMENTS, README, blocks, commands, modules
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT, python

TRAIN, DATA, EXTENDING = (ROOT / "docs" / name for name in ("train.md", "data.md", "extending.md"))
SHORT = "--dataset digits --limit 150 --epochs 1 --snapshots"

# What is run, in this order and in one folder, with the arguments that are added to make it short.
RUN = {
    'python -c "import jax; print(jax.devices())"': "",
    "python -m cnn3.predict docs/pictures/cat.png": "",
    "python -m cnn3.predict docs/pictures/cat.png docs/pictures/ship.png": "",
    "python -m cnn3.train --help --variant dense": "",
    "python -m cnn3.train --dataset digits --epochs 3 --variant batch_norm --optimizer.name adamw "
    "--optimizer.learning-rate 3e-4 --augment.rotation 0 --batch-size 64 --model.channels 32 32 32": SHORT,
    "python -m cnn3.train --dataset digits --variant batch_norm --optimizer.learning-rate 3e-4 --augment.rotation 0 "
    "--epochs 3": SHORT,
    "python -m cnn3.train --variant batch_norm --epochs 10 --patience none --label-smoothing 0.1 "
    "--optimizer.name momentum --optimizer.nesterov --optimizer.learning-rate 0.1 --optimizer.weight-decay 5e-4 "
    "--optimizer.decay-kernels-only --schedule.name one_cycle --augment.rotation 0 --augment.shear 0 "
    "--augment.scale 1 1": SHORT.replace("--epochs 1", "--epochs 2"),  # a schedule needs two
    "python -m cnn3.evaluate results/digits/runs/NAME/best.safetensors --split validation": "",
    "python -m cnn3.compare results/digits/runs/* --output comparison.png": "",
    "python -m cnn3.train --dataset digits --epochs 3 --variant batch_norm --seed 1": SHORT,
    "python -m cnn3.train --dataset digits --epochs 3 --variant batch_norm --seed 2": SHORT,
    "python -m cnn3.join results/digits/runs/batch_norm-adam-*-seed[12]-*/best.safetensors "
    "--output joined.safetensors": "",
    "python -m cnn3.evaluate joined.safetensors --dataset digits": "",
    "sha256sum -c SHA256SUMS": "",
    "python -m cnn3.train --dataset flowers.npz --model.batch-norm --batch-size 64 --epochs 30": "--epochs 1",
    "python -m cnn3.predict photo.jpg --weights results/flowers/best.safetensors": "",
}

# What is not run here, by the reason. Experiments and benchmarks are parsed.
NOT_RUN = {
    ".ci/run does, in a virtual environment of its own": [
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install torch==2.13.0",
        "pip install -e '.[dev,parity]'",
        "pip install -e '.[docs]'",
        "pip install --require-hashes -r requirements.lock",
        "pip install --no-deps -e .",
        "pip install twine check-wheel-contents",
        "pytest",
        "pytest -n 0 -m ray",
        "pip install -e '.[ray]'",
        "ruff check .",
        "ruff format --check .",
        "pyright",
        "sphinx-build -W --keep-going docs build/docs",
        "python -m build",
        "twine check --strict dist/*",
        "check-wheel-contents dist/*.whl",
    ],
    "installs only what the commands above do": ["pip install -e ."],
    "takes too long for .ci/run, which runs a part of the second": ["pytest -m faults", "pytest -m whole"],
    "test_improvements does, with few images": ["python -m experiments.improvements --dataset digits --epochs 9"],
    "trains at full length; its own test runs it on few images": [
        "python -m experiments.frontier --rows one-cycle-40",
        "python -m experiments.improvements",
        "python -m experiments.hyperparameters",
        "python -m experiments.optimizers",
        "python -m experiments.tuned",
        "python -m experiments.latent",
        "python -m experiments.reproduce --dataset digits --epochs 3",
    ],
    "needs all of CIFAR-10, and changes a document": [
        "python -m experiments.reproduce --runs docs/cifar10/runs --only-finished --reuse any-version "
        "--markdown RESULTS.md",
    ],
    "needs another PyTorch program, all of CIFAR-10, or a quiet machine": [
        "python -m benchmarks.throughput --data-dir DIR --pytorch PROGRAM",
        "python -m benchmarks.throughput --data-dir DIR --pytorch PROGRAM --images 1024",
        "python -m benchmarks.throughput --data-dir DIR --pytorch PROGRAM --variants batch_norm --batch-sizes 64 128 "
        "--programs cnn3 cnn3-bf16 pytorch-channels-last pytorch-amp pytorch-compile pytorch-compile-amp",
        "python -m benchmarks.against_pytorch --data-dir DIR --pytorch PROGRAM",
        "python -m benchmarks.against_pytorch --data-dir DIR --pytorch PROGRAM --epochs 3 --seeds 3 --limit 10000",
        "python -m benchmarks.kernels_agree --data-dir DIR",
        "python -m benchmarks.jax_versions --data-dir DIR --pythons PYTHON...",
        "python -m benchmarks.jobs --data-dir DIR",
    ],
    "needs several machines; test_ray_engine has a cluster": [
        "ray start --head",
        "ray start --address=HEAD:6379",
        "python -m experiments.improvements --engine ray --address auto --seeds 3",
        "python -m experiments.reproduce --seeds 5 --jobs auto --output /shared/results",
        "head=$(hostname)",
        "ray start --head --port=6379",
        'srun --nodes=3 --exclude="$head" ray start --address="$head:6379" --block',
        "python -m experiments.reproduce --seeds 5 --engine ray --address auto",
    ],
    "needs an NVIDIA GPU": [
        "python -m experiments.frontier --rows wide-20 wide-60 wide-120 --precision bf16 --seeds 3",
        "pip install -e '.[cuda13]'",
        "pip install -e '.[cuda12]'",
        "export XLA_PYTHON_CLIENT_PREALLOCATE=false",
        "wait",
        "python -m benchmarks.gpu_trace --data-dir DIR",
        "python -m benchmarks.gpu_trace --data-dir DIR --variant batch_norm --batch-size 64 --precision fp32",
        "pip download -d wheels '.[cuda13]' hatchling editables",
        "pip install --no-index --find-links wheels -e '.[cuda13]'",
    ],
    "needs TensorBoard, which cnn3 does not; test_tensorboard reads the logs": [
        "pip install 'cnn3[tensorboard]'",
        "tensorboard --logdir results",
    ],
}
LISTED = [command for group in NOT_RUN.values() for command in group]


def test_each_command_is_run_or_listed() -> None:
    shown = {command for document in DOCUMENTS for command in commands(document)}
    assert shown == {*RUN, *LISTED}
    assert not set(RUN) & set(LISTED)


def test_all_modules_can_be_run() -> None:
    names = set().union(*map(modules, DOCUMENTS)) - {"experiments.NAME"}
    assert len(names) > 15
    for name in names:
        spec = find_spec(name)
        assert spec is not None, name
        assert spec.submodule_search_locations is None or find_spec(f"{name}.__main__"), name


def test_all_extras_exist() -> None:
    known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    extras = re.findall(r"^pip .*\[(.+)\]", "\n".join(LISTED), re.MULTILINE)
    assert {name for names in extras for name in names.split(",")} == known


@pytest.mark.parametrize("command", [command for command in LISTED if "-m experiments." in command])
def test_the_options_of_an_experiment_exist(command: str) -> None:
    name, *args = command.split()[2:]
    if "ray" in args:
        pytest.importorskip("ray")
    name = name.removeprefix("experiments.")
    parse_experiment(entry.OPTIONS.get(name, Options), name, "", args)


@pytest.mark.parametrize("command", [command for command in LISTED if "-m benchmarks." in command])
def test_the_options_of_a_benchmark_exist(command: str) -> None:
    name, *args = command.split()[2:]
    module = import_module(name)
    if hasattr(module, "Options"):
        tyro.cli(module.Options, args=args)
    else:
        tyro.cli(functools.wraps(module.main)(lambda **_: None), args=args)


def shell(command: str, cwd: Path) -> str:
    """Run a command with this interpreter as `python`, and return what it prints."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | QUICK_TO_COMPILE | {"PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def run_program(code: str, cwd: Path, changes: Mapping[str, str]) -> None:
    """Run a Python program in which texts are replaced by others that make it short."""
    for text, short in changes.items():
        assert text in code
        code = code.replace(text, short)
    done = python("-W", "error", "-c", code, cwd=cwd, env=QUICK_TO_COMPILE | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


@pytest.mark.whole
def test_the_commands_and_programs_run(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "pictures").symlink_to(ROOT / "docs" / "pictures")
    shutil.copy(ROOT / "docs" / "pictures" / "cat.png", tmp_path / "photo.jpg")
    save, train = blocks(DATA, "python")
    run_program(save, tmp_path, {})
    run_program(train, tmp_path, {"epochs=30": "epochs=1"})

    name = "NAME"  # of the first run
    for command, added in RUN.items():
        runs = sorted((tmp_path / "results" / "digits").glob("runs/*/SHA256SUMS"))
        folder = tmp_path if "SHA256SUMS" not in command else runs[0].parent
        name = runs[0].parent.name if runs else name
        printed = shell(f"{command.replace('NAME', name)} {added}", folder)
        if "predict" in command:
            assert len(printed.splitlines()) == sum(word.endswith((".png", ".jpg")) for word in command.split())
        if "cnn3.train" in command and "--help" not in command:
            assert "test: loss " in printed
    assert (tmp_path / "comparison.png").is_file()

    watch, fine_tune = blocks(TRAIN, "python")
    before = (
        "import cnn3\n"
        "dataset = cnn3.load('digits', limit=150)\n"
        "model = cnn3.ModelConfig(batch_norm=True, channels=(8, 8, 8), hidden=(32, 128))\n"
        "config = cnn3.RunConfig(model, dataset='digits', limit=150, epochs=1)\n"
    )
    few = {"NAME": name, 'dataset="digits"': 'dataset="digits", limit=150, epochs=1'}
    run_program(before + watch + fine_tune, tmp_path, few)
    assert (tmp_path / "fine-tuned" / "best.safetensors").is_file()


def test_no_other_document_has_programs() -> None:
    """`test_readme` and `test_extending` run those of the README and of the recipes."""
    assert {path for path in DOCUMENTS if blocks(path, "python")} == {README, TRAIN, DATA, EXTENDING}
