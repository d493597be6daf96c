"""Configurations: what they accept, and that nothing is lost in JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn3.config import (
    OPTIMIZERS,
    PROTOCOLS,
    VARIANTS,
    AugmentConfig,
    ConfigError,
    ModelConfig,
    OptimizerConfig,
    RunConfig,
)

models = st.builds(
    ModelConfig,
    batch_norm=st.booleans(),
    dropout=st.floats(0, 1, exclude_max=True),
    dense=st.booleans(),
    channels=st.tuples(*[st.integers(1, 512)] * 3),
    hidden=st.lists(st.integers(1, 1024), max_size=2).map(lambda widths: (*widths, 128)),
    pool=st.sampled_from(["max", "average"]),
)
runs = st.builds(
    RunConfig,
    model=models,
    optimizer=st.sampled_from(list(OPTIMIZERS.values())),
    protocol=st.sampled_from(list(PROTOCOLS.values())),
    dataset=st.sampled_from(["cifar10", "digits"]),
    limit=st.none() | st.integers(1, 45_000),
    batch_size=st.integers(2, 1024),
    snapshots=st.lists(st.integers(0, 200), unique=True).map(lambda epochs: tuple(sorted(epochs))),
    seed=st.integers(0, 2**31 - 1),
    augment=st.builds(
        AugmentConfig,
        padding=st.integers(0, 16),
        flip=st.floats(0, 1),
        rotation=st.floats(0, 25),
        shear=st.sampled_from([0, 10]),
        scale=st.sampled_from([(0.8, 1.2), (1, 1)]),
    ),
)


@given(runs)
def test_json_keeps_everything(config: RunConfig) -> None:
    assert RunConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["batch_size"] == config.batch_size


@given(runs, runs)
def test_the_digest_tells_configurations_apart(a: RunConfig, b: RunConfig) -> None:
    assert (a.digest() == b.digest()) == (a == b)


EARLIER = [
    *sorted((Path(__file__).parent / "golden" / "configs").glob("*.json")),  # by cnn3 0.1 and 0.2
    *sorted((Path(__file__).parent.parent / "docs" / "cifar10" / "runs").glob("*/config.json")),  # by 0.4
]


def run_name(path: Path) -> str:
    return path.parent.name if path.stem == "config" else path.stem


@pytest.mark.parametrize("path", EARLIER, ids=run_name)
def test_configurations_of_earlier_versions_read_as_what_they_meant(path: Path) -> None:
    """A run's name ends in the digest that its version gave it."""
    name, text = run_name(path), path.read_text()
    config = RunConfig.from_json(text)
    assert name.endswith(f"-{config.digest()}")
    assert config.augment == AugmentConfig(padding=4, flip=0.5, rotation=10, shear=10, scale=(0.8, 1.2))
    written, read = json.loads(text), json.loads(config.to_json())
    assert {name: read[name] for name in written} == written


def test_equal_numbers_are_one_configuration() -> None:
    whole = RunConfig(ModelConfig(dropout=0), OptimizerConfig("sgd", 1, weight_decay=-0.0))
    fraction = RunConfig(ModelConfig(dropout=0.0), OptimizerConfig("sgd", 1.0, weight_decay=0.0))
    assert (whole, whole.digest(), whole.to_json()) == (fraction, fraction.digest(), fraction.to_json())


def test_another_default_of_the_augmentation_would_be_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is left out of the digest has one fixed meaning, whatever the default is by then."""
    lighter = RunConfig(augment=AugmentConfig(rotation=0))
    assert lighter.digest() != RunConfig().digest()
    assert json.loads(lighter.to_json())["augment"]["rotation"] == 0
    assert RunConfig.from_json(lighter.to_json()) == lighter


def test_the_defaults_are_the_reports() -> None:
    """Report, sections 2 and 3, and train.py."""
    run = RunConfig()
    assert (run.optimizer.name, run.optimizer.learning_rate, run.optimizer.weight_decay) == ("adam", 1e-3, 3e-4)
    assert (run.batch_size, run.epochs, run.patience, run.snapshots, run.seed) == (128, 150, 10, (20,), 3136)
    assert (run.model.channels, run.model.hidden) == ((256, 128, 64), (512, 128))
    assert (VARIANTS["dense"].channels, VARIANTS["dense"].hidden) == ((128, 64, 32), (1024, 128))
    assert VARIANTS["dropout"].dropout == 0.2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", -1),
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch_size", 1),
        ("seed", -1),
        ("seed", 2**31),
        ("limit", 0),
        ("patience", 0),
        ("snapshots", (-1,)),
        ("snapshots", (2, 2)),
        ("snapshots", [1]),
        ("snapshots", 20),
        ("precision", "fp16"),
        ("dataset", "../etc"),
        ("dataset", 3),
        ("model", None),
    ],
)
def test_impossible_runs_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        RunConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dropout", 1.0),
        ("dropout", float("nan")),
        ("channels", (1, 2)),
        ("channels", (0, 1, 2)),
        ("channels", [1, 2, 3]),
        ("hidden", ()),
        ("hidden", (512, 64)),
        ("hidden", (1, 2, 3, 128)),
        ("pool", "min"),
        ("batch_norm", 1),
    ],
)
def test_impossible_models_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        ModelConfig(**{field: value})


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Adagrad"}, "optimizer"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"momentum": 1.0, "name": "momentum"}, "momentum"),
        ({"momentum": 0.9}, "momentum"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_impossible_optimizers_are_refused_by_name(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        OptimizerConfig(**values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("padding", -1),
        ("padding", 1.5),
        ("padding", 17),
        ("flip", 1.5),
        ("flip", float("nan")),
        ("rotation", -1.0),
        ("rotation", 26.0),
        ("shear", "10"),
        ("scale", 1.2),
        ("scale", (1.2, 0.8)),
        ("scale", (0.5, 1.0)),
        ("scale", (0.8, 1.0, 1.2)),
    ],
)
def test_impossible_augmentations_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        AugmentConfig(**{field: value})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": 1}', "[" * 100_000])
def test_text_that_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        RunConfig.from_json(text)


def test_json_with_a_wrong_part_is_refused() -> None:
    values = dataclasses.asdict(RunConfig())
    for part in ("model", "optimizer", "protocol", "augment"):
        said = {f"{part} must be an object": 3, f"{part} lacks fields": {}, "unknown field surplus": {"surplus": 1}}
        for message, broken in said.items():
            wrong = broken if broken in (3, {}) else {**values[part], **broken}
            with pytest.raises(ConfigError, match=message):
                RunConfig.from_json(json.dumps({**values, part: wrong}))
