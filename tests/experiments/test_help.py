"""The help of every experiment."""

import re
from importlib import import_module
from itertools import pairwise
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


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", ["frontier", "reproduce"])
def test_every_paragraph_of_the_description_fills_the_terminal(
    name: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    module = import_module(f"experiments.{name}")
    with pytest.raises(SystemExit):
        module.main(["--help"])
    usage, *printed = capsys.readouterr().out.split("\n\n")
    paragraphs = str(module.__doc__).strip().split("\n\n")
    assert usage.startswith("usage: ")
    assert len(paragraphs) > 1
    for paragraph, shown in zip(paragraphs, printed, strict=False):
        assert shown.split() == paragraph.split()
        lines = shown.split("\n")
        for line, following in pairwise(lines):
            assert len(line) <= columns < len(f"{line} {following.split()[0]}")
        assert len(lines[-1]) <= columns


def test_the_experiments_are_those_of_the_readme():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    table = readme[readme.index("| NAME |") :].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(EXPERIMENTS)
