"""The command `python -m cnn3.train`: what it leaves and prints, again, after a kill, and when training diverges."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cnn3 import read_runs
from cnn3.config import RunConfig
from cnn3.evaluate.__main__ import main as evaluate
from cnn3.runs import loop
from cnn3.runs.run_name import run_name
from cnn3.train.__main__ import main
from tests.helpers.folders import content
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT, python
from tests.helpers.tiny import SMALL_RUN

pytestmark = pytest.mark.usefixtures("quick_to_compile")

CONFIG = replace(SMALL_RUN, epochs=2, snapshots=())
RUN = "--dataset digits --limit 150 --batch-size 64 --epochs 2 --snapshots"
NETWORK = "--model.batch-norm --model.dropout 0.2 --model.channels 8 8 8 --model.hidden 32 128"
ARGS = [*RUN.split(), *NETWORK.split()]
EPOCHS = [r"epoch 1/2: train loss .*images/s, at most .* left", r"epoch 2/2: train loss .*images/s"]


def folder_in(output: Path, config: RunConfig = CONFIG) -> Path:
    return output / "digits" / "runs" / run_name(config)


def test_it_trains_then_reads_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*ARGS, "--output", str(tmp_path)]
    assert main([*args, "--label", "small"]) == 0
    folder, (printed, progress) = folder_in(tmp_path), capsys.readouterr()
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    epochs = re.findall(r"^small: (epoch .*)$", progress, re.MULTILINE)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(EPOCHS, epochs, strict=True))
    assert RunConfig.from_json((folder / "config.json").read_text()) == CONFIG
    assert (lines["run"], lines["curves"]) == (str(folder), str(folder / "curves.png"))
    summary = json.loads((folder / "summary.json").read_text())
    best = summary["best_epoch"] + 1
    assert lines["epochs"] == f"2 of at most 2 (all epochs done), the best is epoch {best}"
    for split in ("validation", "test"):
        metrics = summary[split]
        assert lines[split] == f"loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.4f}"
    with Image.open(folder / "curves.png") as image:
        assert image.format == "PNG"

    assert lines["evaluate"].startswith("python -m cnn3.evaluate ")
    assert evaluate([*lines["evaluate"].split()[3:], "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["accuracy"] == summary["validation"]["accuracy"]
    assert measured["loss"] == pytest.approx(summary["validation"]["loss"], rel=1e-6)
    assert lines["predict"] == f"python -m cnn3.predict IMAGE... --weights {folder / 'best.safetensors'}"

    monkeypatch.setattr(loop, "_run_epoch", None)  # nothing is trained again
    assert main(["--config", str(folder / "config.json"), "--output", str(tmp_path)]) == 0
    assert capsys.readouterr() == (printed, "")

    assert main([*args, "--json"]) == 0
    curves = {"diverged": None, "curves": str(folder / "curves.png")}
    (record,) = json.loads(json.dumps(read_runs(tmp_path)))
    assert json.loads(capsys.readouterr().out) == record | curves


def test_without_hold_out_validation_is_marked_as_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARGS, "--no-hold-out", "--patience", "none", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^validation: loss \S+, accuracy \S+ \(of images trained on\)$", printed, re.MULTILINE)
    assert re.search(r"^test: loss \S+, accuracy \d\.\d{4}$", printed, re.MULTILINE)


def test_a_run_that_diverges_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [*ARGS, *["--optimizer.name", "sgd", "--optimizer.learning-rate", "1e30", "--optimizer.weight-decay", "0"]]
    assert main([*args, "--output", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert (
        "diverged: the loss was not finite in epoch 1, training step 2; try a smaller --optimizer.learning-rate"
        in printed
    )
    assert "evaluate" not in printed
    assert main([*args, "--output", str(tmp_path), "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["stopped"] == "diverged"
    assert record["diverged"] == {"epoch": 0, "during": "training", "step": 1}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([*ARGS, "--output", str(tmp_path / "file")]) == 2
    assert re.fullmatch(r"error: cannot write to .*--output.*\n", capsys.readouterr().err)


@pytest.mark.whole
def test_killed_and_given_again_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    """As a user would: two commands of the README's kind, one of which is killed after its first epoch."""
    config = replace(CONFIG, epochs=40)
    args = [*ARGS, "--epochs", "40"]
    command = [sys.executable, "-m", "cnn3.train", *args, "--output", str(tmp_path / "killed")]
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | QUICK_TO_COMPILE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/40" in line:
            process.send_signal(signal.SIGTERM)
            break
    _, errors = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.endswith("interrupted; run the same command to resume\n")
    killed = folder_in(tmp_path / "killed", config)
    assert not (killed / "SHA256SUMS").exists()
    for output in ("killed", "whole"):
        done = python("-W", "error::RuntimeWarning", "-m", "cnn3.train", *args, "--output", str(tmp_path / output))
        assert done.returncode == 0, done.stderr
        assert ("resuming after epoch" in done.stderr) == (output == "killed")
        assert done.stdout.startswith(f"run: {folder_in(tmp_path / output, config)}\n")
    assert content(killed) == content(folder_in(tmp_path / "whole", config))
