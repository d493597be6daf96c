"""The examples of docs/data.md."""

import re
from pathlib import Path

import pytest
from PIL import Image

import cnn3
from cnn3.data.image_files import FORMATS
from cnn3.data.image_folder import ENDINGS
from cnn3.runs.fit import check_run
from tests.helpers.processes import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text()


def example(name: str) -> str:
    (program,) = re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    return program


def test_the_examples_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cnn3, "fit", lambda config, dataset, *_, **__: trained.append((config, dataset)))
    exec(example("save"), {})
    exec(example("train"), {})
    ((config, dataset),) = trained
    check_run(config, dataset)
    assert (dataset.name, dataset.classes) == ("flowers", ("daisy", "rose", "tulip"))
    assert config.model.classes == 3


def test_the_data_sets_and_formats_are_all_named() -> None:
    for name in ("cifar10", "cifar100", "digits"):
        assert f'| `"{name}"` |' in PAGE
    (formats,) = re.findall(r"(PNG.* and PPM) are read", PAGE)
    assert tuple(name.upper() for name in re.split(", | and ", formats)) == FORMATS
    known = Image.registered_extensions()
    assert {known[ending] for ending in ENDINGS} == set(FORMATS)
