"""Any configuration or command line is either run, or refused in one line that names the field."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnn3 import AugmentConfig, ConfigError, DataError, ModelConfig, OptimizerConfig, Protocol, RunConfig, load
from cnn3.config import PART_TYPES
from cnn3.config_fields import FLOAT32_MAX, FLOAT32_MIN
from cnn3.nn.layers import xla_block
from cnn3.training.optim import hyperparameters
from cnn3.training.state import init_state, make_train_spec
from cnn3.training.step import train_step
from experiments.support.options import Options, command

NAMED_PARTS: dict[Any, str] = {kind: name for name, kind in PART_TYPES.items()}

integers = st.integers() | st.sampled_from([2**31, 2**63, 10**400])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | integers | st.floats() | st.text() | st.sampled_from(["adam", "max", "digits", "fp32"]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


def fields(kind: Any) -> dict[str, st.SearchStrategy[Any]]:
    return {field.name: anything for field in dataclasses.fields(kind)}


def refusal(work: Callable[[], object], kind: type[Exception]) -> str | None:
    """Return the message of the error that `work` raises, None if it raises none."""
    try:
        work()
    except kind as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", [*NAMED_PARTS, RunConfig])
@given(data=st.data())
def test_a_value_is_accepted_or_refused_by_the_name_of_its_field(kind, data):
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(kind)]))
    value = data.draw(anything)
    try:
        accepted = kind(**{name: value})
    except ConfigError as error:
        message = str(error)
        assert message.startswith(f"{NAMED_PARTS[kind]}.name" if name == "name" else name), message
        assert "\n" not in message
        assert len(message) < 500
    else:
        run = accepted if kind is RunConfig else RunConfig(**{NAMED_PARTS[kind]: accepted})
        assert RunConfig.from_json(run.to_json()) == run


@given(st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(RunConfig)]), anything))
def test_json_of_wrong_types_is_refused(changes):
    text = json.dumps(dataclasses.asdict(RunConfig()) | changes)
    message = refusal(lambda: RunConfig.from_json(text), ConfigError)
    assert message is None or "\n" not in message


rates, fractions = st.floats(FLOAT32_MIN, FLOAT32_MAX), st.floats(0, 1, exclude_max=True)
decays = st.floats(0, FLOAT32_MAX)
accepted_runs = st.builds(
    RunConfig,
    model=st.builds(
        ModelConfig,
        batch_norm=st.booleans(),
        dropout=fractions,
        dense=st.booleans(),
        channels=st.tuples(*[st.integers(1, 5)] * 3),
        hidden=st.lists(st.integers(1, 7), max_size=2).map(lambda widths: (*widths, 128)),
        pool=st.sampled_from(["max", "average"]),
    ),
    optimizer=st.builds(
        OptimizerConfig, st.sampled_from(["sgd", "rmsprop", "adam", "adamw"]), rates, st.just(0), decays
    )
    | st.builds(OptimizerConfig, st.just("muon"), rates, fractions, decays, decay_kernels_only=st.booleans())
    | st.builds(
        OptimizerConfig,
        st.just("momentum"),
        rates,
        fractions,
        decays,
        nesterov=st.booleans(),
        decay_kernels_only=st.booleans(),
        clip_norm=st.none() | rates,
    ),
    augment=st.builds(AugmentConfig, cutout=st.integers(0, 32)),
    label_smoothing=fractions,
    protocol=st.builds(Protocol, *[st.booleans()] * 5),
    batch_size=st.integers(2, 9),
    seed=st.integers(0, 2**31 - 1),
)


def train_a_step(config: RunConfig) -> None:
    spec, hyper = make_train_spec(config, xla_block), jax.tree.map(np.float32, hyperparameters(config))
    train = load("digits", limit=9).train
    state = init_state(spec, jnp.int32(config.seed))
    batch = [array[: config.batch_size] for array in train]
    _, sums = jax.jit(train_step, static_argnums=0)(spec, state, hyper, *batch, jax.random.key(0))
    assert np.isfinite(sums.loss)
    assert 0 <= int(sums.correct) <= config.batch_size


EXTREMES = [
    RunConfig(ModelConfig(dropout=1 - 2**-53, channels=(1, 1, 1)), OptimizerConfig("adam", FLOAT32_MAX, 0.0, 1e-45)),
    RunConfig(
        ModelConfig(batch_norm=True, dense=True, channels=(2, 1, 2), hidden=(1, 1, 128), pool="average"),
        OptimizerConfig("momentum", FLOAT32_MIN, 1 - 2**-53, FLOAT32_MAX),
        batch_size=2,
        seed=2**31 - 1,
    ),
]


@pytest.mark.whole
@pytest.mark.parametrize("config", EXTREMES, ids=["large", "small"])
def test_accepted_extremes_train_a_step(config, quick_to_compile):
    train_a_step(config)


@pytest.mark.faults
@pytest.mark.usefixtures("quick_to_compile")
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(accepted_runs)
def test_any_accepted_configuration_trains_a_step(config):
    train_a_step(config)


OPTIONS = ("dataset", "data-dir", "output", "epochs", "seeds", "protocol", "precision", "limit", "jobs")
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    [
        "",
        "-1",
        "0",
        "1e9",
        "nan",
        "99999999999999999999",
        "cifar10",
        "digits",
        "published",
        "../..",
        "--help=",
        "🙂" * 300,
    ]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(OPTIONS), values), min_size=1, max_size=3))
def test_a_command_line_is_understood_or_refused_in_one_line(options_and_values):
    args = [arg for name, value in options_and_values for arg in (f"--{name}", value)]
    accepted = []

    def work(options: Options) -> list:
        options.config()
        options.tuned()
        options.describe()
        accepted.append(options)
        return []

    with patch("sys.stderr") as stderr, patch("cnn3.runs.compilation.cache_compilations"):
        status = command(Options, work, "trial", "", args)
    message = "".join(call.args[0] for call in stderr.write.call_args_list)
    if accepted:
        assert (status, message) == (0, "")
    else:
        assert status == 2
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        assert message.endswith("\n")


@given(st.text(), st.integers(), st.none() | st.integers())
def test_an_unknown_data_set_is_refused(name, seed, limit):
    message = refusal(lambda: load(name, seed=seed, limit=limit), DataError)
    assert name == "digits" if message is None else "\n" not in message
