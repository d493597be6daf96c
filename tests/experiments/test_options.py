"""The shared command line: options, help, and errors."""

import io
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from cnn3 import PROTOCOLS, RunConfig
from cnn3.cli import UsageError
from cnn3.config import SEED
from experiments.support import options
from experiments.support.options import Options, parse


def test_the_command_line_becomes_options_and_options_the_default_run():
    assert parse(Options, "trial", "", []) == Options()
    text = "--dataset digits --data-dir a/b --output c --runs d --epochs 3 --seeds 2 --protocol published --limit 200"
    parsed = parse(Options, "trial", "", [*text.split(), "--precision", "bf16"])
    assert asdict(parsed) == {
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
    assert parsed.config() == RunConfig(
        protocol=PROTOCOLS["published"], dataset="digits", limit=200, epochs=3, precision="bf16"
    )
    assert parsed.config().seed == SEED
    assert parsed.describe() == (
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
    for option in (
        "dataset",
        "data-dir",
        "output",
        "runs",
        "epochs",
        "seeds",
        "protocol",
        "limit",
        "engine",
        "address",
    ):
        assert f"--{option} " in text
    assert "corrected does what the study's text says; published repeats the defects of its program" in text
    assert "(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)" in text


LONG_PATH = "/home/user/a folder, and another/" + "results/" * 12


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro frames its messages in either
@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--epochs", "abc"], "--epochs: 'abc' is not an integer"),
        ([f"--epochs={LONG_PATH}"], f"--epochs: '{LONG_PATH}' is not an integer"),
        (["--limit", LONG_PATH], f"--limit: '{LONG_PATH}' is not an integer"),
        (["--epoch", "3"], "Unrecognized options: --epoch, 3 (did you mean --epochs?)"),
        (["--epoch", "3", "--mnist"], "Unrecognized options: --epoch, 3, --mnist (did you mean --epochs?)"),
        (["--mnist"], "Unrecognized options: --mnist"),
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


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--address auto", "address is for --engine ray"),
        ("--cpus-per-run 2", "cpus-per-run is for --engine ray"),
        ("--gpus-per-run 0", "gpus-per-run is for --engine ray"),
        ("--shared", "shared is for --engine ray"),
        ("--engine ray --jobs 2", "jobs is for --engine processes; with --engine ray, --cpus-per-run decides"),
        ("--engine ray --cpus-per-run 0", "cpus-per-run must be at least 1, not 0"),
        (
            "--engine ray --gpus-per-run x",
            "--gpus-per-run: 'x' is not a number; see python -m experiments.trial --help",
        ),
        ("--engine ray --gpus-per-run 1.5", "gpus-per-run must be from 0 to 1, not 1.5"),
        (
            "--engine ray --address ray://head:10001",
            "address must be auto or HOST:PORT, not ray://head:10001: run the command on a machine of the cluster",
        ),
    ],
)
def test_options_that_do_not_fit_the_engine(args, message, monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: name)  # as if Ray were installed
    with pytest.raises(UsageError) as error:
        parse(Options, "trial", "", args.split())
    assert str(error.value) == message


def test_ray_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"engine ray needs Ray: pip install 'cnn3\[ray\]'"):
        parse(Options, "trial", "", ["--engine", "ray"])
