"""The optimizers against torch.optim, in float64, where nothing but the formula can differ."""

from typing import Any

import jax
import numpy as np
import optax
import pytest

from cnn3.config import OPTIMIZERS, OptimizerConfig, RunConfig
from cnn3.training.optim import hyperparameters, make_optimizer, update_rule

CONFIGS = [*OPTIMIZERS.values(), OptimizerConfig("momentum", 1e-2, momentum=0.5, weight_decay=1e-3)]
STEPS = 50


def torch_optimizer(torch: Any, config: OptimizerConfig, parameters: list[Any]) -> Any:
    decay = {"weight_decay": config.weight_decay}
    return {
        "sgd": lambda: torch.optim.SGD(parameters, config.learning_rate, **decay),
        "momentum": lambda: torch.optim.SGD(parameters, config.learning_rate, config.momentum, **decay),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, config.learning_rate, **decay),
        "adam": lambda: torch.optim.Adam(parameters, config.learning_rate, **decay),
        "adamw": lambda: torch.optim.AdamW(parameters, config.learning_rate, **decay),
    }[config.name]()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.learning_rate}")
def test_steps_equal_torchs(config: OptimizerConfig, torch: Any) -> None:
    """Gradients from 1e-9, where epsilon matters, to 1e3. Parameters to 2e-13; seen: 2.2e-14."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=64)
    scales = 10.0 ** rng.integers(-9, 4, 64)
    gradients = [rng.normal(size=64) * scales for _ in range(STEPS)]

    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    reference = torch_optimizer(torch, config, [parameter])
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient.copy())
        reference.step()

    with jax.enable_x64(True):
        params: Any = {"layer": {"kernel": jax.numpy.asarray(start)}}
        tx = make_optimizer(update_rule(config.name).transform, hyperparameters(RunConfig(optimizer=config)))
        state = tx.init(params)
        for gradient in gradients:
            updates, state = tx.update({"layer": {"kernel": jax.numpy.asarray(gradient)}}, state, params)
            params = optax.apply_updates(params, updates)
        actual = np.asarray(params["layer"]["kernel"])
    np.testing.assert_allclose(actual, parameter.detach().numpy(), rtol=2e-13)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_an_unused_layer_without_decay_does_not_change(name: str) -> None:
    config = OPTIMIZERS[name]
    params = {"live": {"scale": jax.numpy.ones(3)}, "dead": {"scale": jax.numpy.ones(3)}}
    tx = make_optimizer(
        update_rule(config.name).transform, hyperparameters(RunConfig(optimizer=config)), frozenset({"dead"})
    )
    updates: Any
    updates, _ = tx.update(jax.tree.map(jax.numpy.zeros_like, params), tx.init(params), params)
    assert np.all(updates["dead"]["scale"] == 0)
    assert np.all(updates["live"]["scale"] != 0)
