"""The help of every experiment."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import experiments

(FOLDER,) = experiments.__path__
EXPERIMENTS = [path.stem for path in Path(FOLDER).glob("*.py") if not path.stem.startswith("__")]


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
    table = readme[readme.index("| NAME |") :].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(EXPERIMENTS)
