"""The command line of `python -m cnn3.train`."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn3.cli import UsageError
from cnn3.config import (
    OPTIMIZERS,
    PROTOCOLS,
    VARIANTS,
    AugmentConfig,
    ModelConfig,
    OptimizerConfig,
    Protocol,
    RunConfig,
    ScheduleConfig,
)
from cnn3.train.__main__ import PROGRAM, main
from cnn3.train.options import name_option, parse

CONFIGS = st.builds(
    RunConfig,
    model=st.builds(
        ModelConfig,
        batch_norm=st.booleans(),
        dropout=st.floats(0, 0.9),
        channels=st.tuples(*[st.integers(1, 99)] * 3),
        pool=st.sampled_from(["max", "average"]),
        classes=st.integers(2, 99),
    ),
    optimizer=st.builds(
        OptimizerConfig,
        name=st.sampled_from(["momentum", "adam"]),
        learning_rate=st.floats(1e-6, 10),
        decay_kernels_only=st.booleans(),
        clip_norm=st.none() | st.floats(0.1, 9),
    ),
    protocol=st.builds(Protocol, pad_accuracy=st.booleans()),
    limit=st.none() | st.integers(1, 999),
    epochs=st.integers(1, 999),
    patience=st.none() | st.integers(1, 99),
    snapshots=st.sets(st.integers(0, 99), max_size=3).map(lambda indices: tuple(sorted(indices))),
    augment=st.builds(AugmentConfig, flip=st.floats(0, 1), scale=st.just((0.75, 1.5)), cutout=st.integers(0, 32)),
    schedule=st.builds(ScheduleConfig, name=st.sampled_from(["constant", "cosine", "one_cycle"])),
    ema=st.floats(0, 0.99),
)


def config(*args: str) -> RunConfig:
    return parse(PROGRAM, "", args).config


def arguments(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the options that set each of these fields."""
    for name, value in fields.items():
        option = name.replace("_", "-")
        if isinstance(value, dict):
            yield from arguments(value, f"{option}.")
        elif isinstance(value, bool):
            yield f"--{prefix}{'' if value else 'no-'}{option}"
        elif isinstance(value, list):
            yield from (f"--{prefix}{option}", *map(str, value))
        else:
            yield from (f"--{prefix}{option}", "none" if value is None else str(value))


@given(CONFIGS)
@settings(max_examples=25)
def test_every_field_is_an_option(expected: RunConfig) -> None:
    assert config(*arguments(json.loads(expected.to_json()))) == expected


def test_defaults_are_those_of_the_configuration() -> None:
    assert config() == RunConfig()


def test_starting_points_are_those_of_the_tables_and_options_override_them() -> None:
    for name, model in VARIANTS.items():
        assert config("--variant", name) == RunConfig(model=model)
    for name, optimizer in OPTIMIZERS.items():
        assert config(f"--optimizer={name}") == RunConfig(optimizer=optimizer)
    for name, protocol in PROTOCOLS.items():
        assert config("--protocol", name) == RunConfig(protocol=protocol)
    changed = config(
        "--model.no-batch-norm", "--optimizer.momentum", "0.5", "--variant", "batch_norm", "--optimizer", "momentum"
    )
    momentum = dataclasses.replace(OPTIMIZERS["momentum"], momentum=0.5)
    assert changed == RunConfig(optimizer=momentum)


def test_a_file_is_a_starting_point_too(tmp_path: Path) -> None:
    saved = RunConfig(ModelConfig(classes=3, dropout=0.5), OptimizerConfig("sgd", 0.1), epochs=3, label_smoothing=0.1)
    path = tmp_path / "run.json"
    path.write_text(saved.to_json())
    assert config("--config", str(path)) == saved
    dense = dataclasses.replace(VARIANTS["dense"], classes=3)
    assert config("--config", str(path), "--variant", "dense", "--epochs", "4") == dataclasses.replace(
        saved, model=dense, epochs=4
    )


def test_what_follows_from_another_option_follows_from_the_given_one(tmp_path: Path) -> None:
    assert config("--optimizer.name", "momentum").optimizer.momentum == 0.9
    assert config("--schedule.name", "one_cycle").schedule.warmup == 0.3
    path = tmp_path / "run.json"
    path.write_text(RunConfig(optimizer=OptimizerConfig("momentum"), schedule=ScheduleConfig("one_cycle")).to_json())
    changed = config("--config", str(path), "--optimizer.name", "adam", "--schedule.name", "cosine")
    assert (changed.optimizer.momentum, changed.schedule.warmup) == (0, 0)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--batch-size x", "--batch-size: 'x' is not an integer"),
        ("--batch-size 1", "--batch-size must be an integer from 2"),
        ("--patience no", "--patience: 'no' is not an integer or none"),
        ("--optimizer.learning-rate fast", "--optimizer.learning-rate: 'fast' is not a number"),
        ("--augment.rotation 90", "--augment.rotation must be a number of degrees from 0 to 25, not 90.0"),
        ("--augment.scale 1.2 0.8", "--augment.scale must be"),
        ("--optimizer.name Foo", "--optimizer.name must be"),
        ("--optimizer.name nothing", "--optimizer.name must be one of sgd, momentum"),
        ("--optimizer.momentum 0.5", "--optimizer.momentum must be 0 for adam"),
        ("--schedule.name step", "--schedule.name"),
        ("--model.channels 8 8", "--model.channels"),
        ("--model.hidden 128 64", "--model.hidden must be"),
        ("--model.pool min", "--model.pool"),
        ("--variant wide", "--variant"),
        ("--epoch 3", "--epoch"),
        ("--seed -1", "--seed must be"),
        ("--dataset digits --batch-size 2000", "--batch-size must be at most"),
        ("--dataset digits --limit 9999", "--limit"),
        ("--dataset digits --model.classes 3", "--model.classes is 3"),
        ("--dataset mnist", "'mnist'"),
        ("--log wandb", "--log"),
        ("--config missing.json", "--config: cannot read missing.json"),
    ],
)
def test_errors_are_one_line_that_names_the_option(args: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(rf"error: .*{re.escape(message)}.*\n", printed.err)


@pytest.mark.parametrize("text", ["", "[]", '{"epochs": 3}', "\x00"])
def test_a_file_without_a_configuration_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"--config: .*run\.json holds no configuration"):
        config("--config", str(tmp_path / "run.json"))
    (tmp_path / "run.json").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"--config: .*run\.json is not text"):
        config("--config", str(tmp_path / "run.json"))


def test_only_fields_become_options() -> None:
    assert name_option("batch_size is large") == "--batch-size is large"
    assert name_option("optimizer.name is odd") == "--optimizer.name is odd"
    assert name_option("cnn3 needs JAX_ENABLE_X64=false") == "cnn3 needs JAX_ENABLE_X64=false"
    assert name_option("cnn3.model fails") == "cnn3.model fails"


def test_help_has_every_field_and_its_default_at_the_starting_point(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    with pytest.raises(SystemExit) as end:
        main(["--help", "--variant", "dense"])
    assert not end.value.code
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for option in arguments(json.loads(RunConfig().to_json())):
        if option.startswith("--"):
            assert option in text
    assert "(default: 128 64 32)" in text
