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


def take_steps(config: OptimizerConfig, start: Any, gradients: list[Any]) -> Any:
    """Return a layer's parameters after steps with these gradients, in float64."""
    with jax.enable_x64(True):
        params: Any = {"layer": jax.tree.map(jax.numpy.asarray, start)}
        tx = make_optimizer(update_rule(config.name).transform, hyperparameters(RunConfig(optimizer=config)))
        state = tx.init(params)
        for gradient in gradients:
            updates, state = tx.update({"layer": jax.tree.map(jax.numpy.asarray, gradient)}, state, params)
            params = optax.apply_updates(params, updates)
        return jax.tree.map(np.asarray, params["layer"])


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

    actual = take_steps(config, {"kernel": start}, [{"kernel": gradient} for gradient in gradients])["kernel"]
    np.testing.assert_allclose(actual, parameter.detach().numpy(), rtol=2e-13)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 4, 16)])
def test_muons_steps_are_orthogonalized_momentum(shape: tuple[int, ...]) -> None:
    """Kernels against the formula by singular values, in float64, to 1e-10 (seen: 3.1e-11), biases as AdamW's."""
    config = OptimizerConfig("muon", 1e-2, weight_decay=0.1)
    rng = np.random.default_rng(0)
    shapes, matrix = {"kernel": shape, "bias": (8,)}, (-1, shape[-1])
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    gradients = [{name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(5)]

    actual = take_steps(config, start, gradients)
    adamw = take_steps(OptimizerConfig("adamw", 1e-2, weight_decay=0.1), start, gradients)
    kernel = start["kernel"].reshape(matrix)
    momentum = np.zeros_like(kernel)
    for step, gradient in enumerate((g["kernel"].reshape(matrix) for g in gradients), start=1):
        momentum = 0.95 * momentum + 0.05 * gradient
        ahead = 0.95 * momentum / (1 - 0.95 ** (step + 1)) + 0.05 * gradient / (1 - 0.95**step)
        u, singular, v = np.linalg.svd(ahead, full_matrices=False)
        singular /= np.linalg.norm(singular)
        for _ in range(5):  # Jordan's polynomial, which brings them near one
            singular = 3.4445 * singular - 4.7750 * singular**3 + 2.0315 * singular**5
        kernel -= 1e-2 * (0.2 * np.sqrt(max(kernel.shape)) * (u * singular) @ v + 0.1 * kernel)
    np.testing.assert_allclose(actual["kernel"].reshape(matrix), kernel, rtol=0, atol=1e-10)
    np.testing.assert_allclose(actual["bias"], adamw["bias"], rtol=1e-14)


def test_muons_first_step_equals_torchs(torch: Any) -> None:
    """To 2%, seen: 1.2%, as torch computes in bfloat16. Later steps differ: optax corrects the bias of the momentum."""
    rng = np.random.default_rng(0)
    start, gradient = rng.normal(size=(64, 16)), rng.normal(size=(64, 16))
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    parameter.grad = torch.from_numpy(gradient.copy())
    torch.optim.Muon([parameter], lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw").step()

    config = OptimizerConfig("muon", 1e-2, weight_decay=0.1)
    step = take_steps(config, {"kernel": start}, [{"kernel": gradient}])["kernel"] - start
    expected = parameter.detach().numpy() - start
    assert np.linalg.norm(step - expected) <= 0.02 * np.linalg.norm(expected)


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
