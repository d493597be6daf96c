"""`python -m cnn3.train` and `cnn3.evaluate` on data of one's own."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnn3.config import RunConfig
from cnn3.evaluate.__main__ import main as evaluate
from cnn3.runs.run_name import run_name
from cnn3.train.__main__ import main
from tests.helpers.tiny import SMALL_RUN

pytestmark = pytest.mark.usefixtures("quick_to_compile")

NETWORK = "--model.batch-norm --model.dropout 0.2 --model.channels 8 8 8 --model.hidden 32 128 --model.classes 3"
RUN = "--batch-size 64 --epochs 1 --limit 140 --snapshots"
ARGS = [*NETWORK.split(), *RUN.split()]


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        f"{part}_{name}": array
        for part, count in (("train", 160), ("test", 30))
        for name, array in (
            ("images", rng.integers(0, 256, (count, 32, 32, 3), np.uint8)),
            ("labels", np.arange(count) % 3),
        )
    }
    np.savez(tmp_path / "My flowers.npz", **arrays)  # type: ignore[arg-type]
    return tmp_path / "My flowers.npz"


def test_a_path_is_trained_on_under_its_name_and_evaluated(
    flowers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    assert main(["--dataset", str(flowers), "--output", str(output), *ARGS]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    config = replace(
        SMALL_RUN, model=replace(SMALL_RUN.model, classes=3), dataset="my_flowers", limit=140, snapshots=()
    )
    folder = output / "my_flowers" / "runs" / run_name(config)
    assert lines["run"] == str(folder)
    assert RunConfig.from_json((folder / "config.json").read_text()) == config
    assert lines["evaluate"].endswith(f"--split validation --dataset '{flowers}'")
    weights, summary = str(folder / "best.safetensors"), json.loads((folder / "summary.json").read_text())
    for split, count in (("validation", 16), ("test", 30), ("train", 140)):
        assert evaluate([weights, "--split", split, "--dataset", str(flowers), "--json"]) == 0
        measured = json.loads(capsys.readouterr().out)
        assert (measured["dataset"], measured["n"]) == ("my_flowers", count)
        if split != "train":
            assert measured["accuracy"] == summary[split]["accuracy"]
    assert evaluate([weights]) == 2
    assert "there is no data set or file 'my_flowers'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dataset", "nowhere.npz"], "--dataset: there is no data set or file 'nowhere.npz'"),
        (["--dataset", "PATH"], "--model.classes is 10, but the data set has 3 classes"),
    ],
)
def test_what_does_not_fit_is_named_by_its_option(
    args: list[str], message: str, flowers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(flowers) if arg == "PATH" else arg for arg in args]
    assert main([*given, "--batch-size", "64", "--output", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_help_names_own_data_but_not_where_it_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the path of your own, a .npz file or a folder of class folders" in text
    assert "own-data" not in text
