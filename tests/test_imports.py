"""The house: a folder imports only what stands above it in the list, and no two files import each other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT

FLOORS = (  # from the ground up
    ("cnn3.config", "cnn3.config_fields", "cnn3.config_parts", "cnn3.files", "cnn3.cli"),
    ("cnn3.safetensors_file", "cnn3.jax_settings", "cnn3.version"),
    ("cnn3.nn",),
    ("cnn3.training",),
    ("cnn3.kernels", "cnn3.data"),
    ("cnn3.weights", "cnn3.analysis"),
    ("cnn3.runs",),
    ("cnn3.plots", "cnn3.predict"),
    ("cnn3.train", "cnn3.compare", "cnn3.evaluate", "cnn3.join"),
    ("cnn3",),
    ("experiments.support",),
    ("experiments",),
)
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("cnn3", "experiments")
    for path in (ROOT / package).rglob("*.py")
}
CORE = ("cnn3.nn", "cnn3.training")
SHELL = {"os", "pathlib", "io", "sys", "time", "threading", "subprocess", "shutil", "tempfile", "logging", "socket"}


def imported(path: Path, name: str) -> set[str]:
    """Return the modules that a file names in its imports, wherever they stand."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            modules |= submodules or {node.module}
    return modules - {name}


def floor(module: str) -> int:
    """Return how high above the ground a module stands."""
    prefixes = [".".join(module.split(".")[:depth]) for depth in range(module.count(".") + 1, 0, -1)]
    return next(i for prefix in prefixes for i, names in enumerate(FLOORS) if prefix in names)


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_nothing_of_a_floor_above_its_own(module: str) -> None:
    higher = {name for name in imported(FILES[module], module) & FILES.keys() if floor(name) > floor(module)}
    assert not higher


def test_no_two_files_import_each_other() -> None:
    order = TopologicalSorter({name: imported(path, name) & FILES.keys() for name, path in FILES.items()})
    order.prepare()  # raises CycleError, which names the files


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith(CORE)])
def test_the_core_has_nothing_to_do_with_files_clocks_and_processes(module: str) -> None:
    assert not imported(FILES[module], module) & SHELL


def test_the_floors_are_all_there_and_each_once() -> None:
    names = [name for floor in FLOORS for name in floor]
    assert len(names) == len(set(names))
    assert all(name in FILES for name in names)
