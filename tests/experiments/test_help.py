"""The help of every experiment."""

from importlib import import_module
from pathlib import Path

import pytest

import experiments

EXPERIMENTS = [path.stem for path in Path(experiments.__path__[0]).glob("*.py") if "def main(" in path.read_text()]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_help_says_what_the_experiment_does_and_how_to_run_it(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    module = import_module(f"experiments.{name}")
    with pytest.raises(SystemExit) as end:
        module.main(["--help"])
    assert not end.value.code
    text = " ".join(capsys.readouterr().out.split())
    assert f"python -m experiments.{name}" in text
    assert " ".join(str(module.__doc__).split()) in text


def test_the_experiments_are_those_of_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert {"improvements", "hyperparameters", "optimizers", "architecture"} <= set(EXPERIMENTS)
    assert all(f"| `{name}` |" in readme for name in EXPERIMENTS)
