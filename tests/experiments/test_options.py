"""The shared command line: options, help, and errors."""

import io
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from cnn3 import PROTOCOLS, RunConfig
from cnn3.cli import UsageError
from cnn3.config import SEED
from experiments.support.options import Options, parse


def test_the_command_line_becomes_options_and_options_the_default_run():
    assert parse(Options, "trial", "", []) == Options()
    text = "--dataset digits --data-dir a/b --output c --runs d --epochs 3 --seeds 2 --protocol published --limit 200"
    options = parse(Options, "trial", "", [*text.split(), "--precision", "bf16"])
    assert asdict(options) == {
        "dataset": "digits",
        "data_dir": Path("a/b"),
        "output": Path("c"),
        "runs": Path("d"),
        "epochs": 3,
        "seeds": 2,
        "protocol": "published",
        "precision": "bf16",
        "limit": 200,
        "reuse": "same-code",
        "only_finished": False,
        "jobs": 1,
        "engine": "processes",
        "address": None,
        "cpus_per_run": None,
        "gpus_per_run": None,
        "shared": False,
        "quiet": False,
        "verbose": False,
        "json": False,
    }
    assert [parse(Options, "trial", "", ["--jobs", count]).jobs for count in ("3", "auto")] == [3, "auto"]
    assert options.config() == RunConfig(
        protocol=PROTOCOLS["published"], dataset="digits", limit=200, epochs=3, precision="bf16"
    )
    assert options.config().seed == SEED
    assert options.describe() == (
        "Data set digits, the first 200 training images; at most 3 epochs; 2 seeds (3136 to 3137); protocol published, "
        "in bfloat16."
    )
    assert Options().describe() == (
        "Data set cifar10, all training images; at most 150 epochs; 1 seed (3136); protocol corrected."
    )


def test_help_explains_every_option_and_both_protocols(capsys):
    with pytest.raises(SystemExit) as end:
        parse(Options, "trial", "What the trial does.", ["--help"])
    assert not end.value.code
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "python -m experiments.trial" in text
    assert "What the trial does." in text
    for option in ("dataset", "data-dir", "output", "runs", "epochs", "seeds", "protocol", "limit"):
        assert f"--{option} " in text
    assert "corrected does what the study's text says; published repeats the defects of its program" in text
    assert "(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro frames its messages in either
@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--epochs", "abc"], "--epochs: 'abc' is not an integer"),
        (["--epoch", "3"], "Unrecognized options: --epoch, 3"),
        (["--limit"], "Missing value for argument '--limit'. Expected 1 values"),
        (
            ["--dataset", "mnist"],
            "invalid choice 'mnist' for argument '--dataset'. Expected one of ('cifar10', 'digits')",
        ),
    ],
)
def test_a_command_line_that_cannot_be_understood(args, message, columns, encoding, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(UsageError) as error:
        parse(Options, "trial", "", args)
    assert str(error.value) == f"{message}; see python -m experiments.trial --help"
