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
    ScheduleConfig,
)

orders = st.sampled_from([{}, {"pool_first": True}, {"pool_first": True, "activation": "gelu"}])
models = st.builds(
    lambda order, **fields: ModelConfig(**order, **fields),
    orders,
    batch_norm=st.booleans(),
    dropout=st.floats(0, 1, exclude_max=True),
    dense=st.booleans(),
    channels=st.tuples(*[st.integers(1, 512)] * 3),
    hidden=st.lists(st.integers(1, 1024), max_size=2).map(lambda widths: (*widths, 128)),
    pool=st.sampled_from(["max", "average"]),
    classes=st.sampled_from([2, 10, 100]),
    kernels=st.sampled_from([(3, 3, 3), (5, 4, 3)]),
    pool_window=st.sampled_from([2, 3]),
    flip_equivariant=st.booleans(),
    pixel_norm=st.booleans(),
    columns=st.sampled_from([1, 4]),
)
optimizers = st.sampled_from(
    [
        *OPTIMIZERS.values(),
        OptimizerConfig("momentum", 0.1, nesterov=True),
        OptimizerConfig("adamw", decay_kernels_only=True, clip_norm=1),
        OptimizerConfig("muon", 3e-3, weight_decay=0.5),
    ]
)


def make_run(**fields: Any) -> RunConfig:
    """Return a configuration; an average of the weights cannot be validated in training mode."""
    ema = 0 if fields["protocol"].validate_in_training_mode else fields["ema"]
    return RunConfig(**{**fields, "ema": ema})


runs = st.builds(
    make_run,
    model=models,
    optimizer=optimizers,
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
        cutout=st.sampled_from([0, 8]),
    ),
    patience=st.sampled_from([None, 10]),
    schedule=st.builds(
        ScheduleConfig, st.sampled_from(["constant", "linear", "cosine", "one_cycle"]), st.sampled_from([None, 0.1])
    ),
    label_smoothing=st.sampled_from([0, 0.1]),
    ema=st.sampled_from([0, 0.99]),
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
    *sorted((Path(__file__).parent.parent / "docs" / "cifar10" / "runs").glob("*/config.json")),  # by 0.4 and later
]


def run_name(path: Path) -> str:
    return path.parent.name if path.stem == "config" else path.stem


@pytest.mark.parametrize("path", EARLIER, ids=run_name)
def test_configurations_of_earlier_versions_read_as_what_they_meant(path: Path) -> None:
    """A run's name ends in the digest that its version gave it."""
    name, text = run_name(path), path.read_text()
    config = RunConfig.from_json(text)
    assert name.endswith(f"-{config.digest()}")
    written, read = json.loads(text), json.loads(config.to_json())
    if "augment" not in written:  # up to 0.4
        assert config.augment == AugmentConfig(padding=4, flip=0.5, rotation=10, shear=10, scale=(0.8, 1.2))
    assert _subset(read, written) == written


def _subset(values: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that `like` has, in the parts too."""
    return {
        name: _subset(values[name], value) if isinstance(value, dict) else values[name] for name, value in like.items()
    }


def test_equal_numbers_are_one_configuration() -> None:
    integers = RunConfig(ModelConfig(dropout=0), OptimizerConfig("sgd", 1, weight_decay=-0.0))
    floats = RunConfig(ModelConfig(dropout=0.0), OptimizerConfig("sgd", 1.0, weight_decay=0.0))
    assert (integers, integers.digest(), integers.to_json()) == (floats, floats.digest(), floats.to_json())


def test_lists_serve_as_tuples() -> None:
    lists = RunConfig(ModelConfig(channels=[1, 2, 3], hidden=[128]), snapshots=[1], augment=AugmentConfig(scale=[1, 1]))  # type: ignore[arg-type]
    tuples = RunConfig(
        ModelConfig(channels=(1, 2, 3), hidden=(128,)), snapshots=(1,), augment=AugmentConfig(scale=(1, 1))
    )
    assert (lists, hash(lists)) == (tuples, hash(tuples))


def test_momentum_has_momentum_unless_it_is_set() -> None:
    """Original study, section 6."""
    assert OptimizerConfig("momentum", 0.01) == OptimizerConfig("momentum", 0.01, momentum=0.9)
    assert OptimizerConfig("momentum", 0.01, momentum=0.0).momentum == 0
    assert OptimizerConfig("adam").momentum == 0


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
        ("snapshots", 20),
        ("precision", "fp16"),
        ("dataset", "../etc"),
        ("label_smoothing", 1.0),
        ("ema", -0.1),
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
        ("hidden", ()),
        ("hidden", (1, 2, 3, 128)),
        ("pool", "min"),
        ("pool_window", 4),
        ("kernels", (3, 3)),
        ("kernels", (3, 3, 9)),
        ("classes", 1),
        ("batch_norm", 1),
        ("pool_first", 1),
        ("flip_equivariant", 1),
        ("pixel_norm", 1),
        ("columns", 0),
        ("activation", "elu"),
        ("activation", "gelu"),  # without pool_first
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
        ({"nesterov": True}, "nesterov"),
        ({"name": "lion", "nesterov": True}, "nesterov"),
        ({"clip_norm": 0.0}, "clip_norm"),
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
        ("cutout", 33),
    ],
)
def test_impossible_augmentations_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        AugmentConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("name", "step"), ("warmup", 1.0), ("warmup", -0.1), ("warmup", float("nan"))]
)
def test_impossible_schedules_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        ScheduleConfig(**{field: value})
    with pytest.raises(ConfigError, match="warmup"):
        ScheduleConfig("one_cycle", 0)


def test_an_average_of_the_weights_is_not_validated_in_training_mode() -> None:
    """It would move the running statistics of the weights themselves."""
    with pytest.raises(ConfigError, match="ema must be 0 where validation is in training mode"):
        RunConfig(protocol=PROTOCOLS["published"], ema=0.9)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": 1}', "[" * 100_000])
def test_text_that_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        RunConfig.from_json(text)


def test_json_with_a_wrong_part_is_refused() -> None:
    values = dataclasses.asdict(RunConfig())
    for part in ("model", "optimizer", "protocol", "augment"):
        cases = {f"{part} must be an object": 3, f"{part} lacks fields": {}, "unknown field surplus": {"surplus": 1}}
        for message, broken in cases.items():
            wrong = broken if broken in (3, {}) else {**values[part], **broken}
            with pytest.raises(ConfigError, match=message):
                RunConfig.from_json(json.dumps({**values, part: wrong}))
