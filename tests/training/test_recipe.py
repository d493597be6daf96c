"""What a configuration adds to the original study's training: against torch or a formula, and in whole runs."""

import dataclasses
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn3 import AugmentConfig, ConfigError, OptimizerConfig, RunConfig, ScheduleConfig, fit, load
from cnn3.kernels import default_block
from cnn3.nn.layers import xla_block
from cnn3.runs import loop
from cnn3.training.augment import bounds, cutout, sample_params, transform
from cnn3.training.metrics import batch_metrics, smoothed_loss
from cnn3.training.optim import hyperparameters, make_optimizer
from cnn3.training.schedule import learning_rates
from cnn3.training.state import Weights, init_state, make_train_spec
from cnn3.training.step import epoch_key, forward, train_step
from tests.helpers.tiny import SMALL_RUN, TINY

pytestmark = pytest.mark.usefixtures("quick_to_compile")

RATE, EPOCHS, STEPS = 0.1, 4, 25
TOTAL = EPOCHS * STEPS
RECIPE = RunConfig(
    TINY,
    OptimizerConfig("momentum", 0.05, nesterov=True, weight_decay=5e-4, decay_kernels_only=True, clip_norm=5.0),
    augment=AugmentConfig(rotation=0, shear=0, scale=(1, 1), cutout=8),
    schedule=ScheduleConfig("one_cycle"),
    label_smoothing=0.1,
    ema=0.9,
    batch_size=64,
    dataset="digits",
    limit=150,
    epochs=3,
    patience=None,
    snapshots=(),
)


def rates_of_all_steps(schedule: ScheduleConfig) -> np.ndarray:
    optimizer = OptimizerConfig("sgd", RATE)
    return np.concatenate([learning_rates(optimizer, schedule, epoch, EPOCHS, STEPS) for epoch in range(EPOCHS)])


@pytest.mark.parametrize("warmup", [0.0, 0.2])
@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_a_schedule_follows_its_formula(name: Any, warmup: float) -> None:
    """To a millionth of the rate; seen: 1.0e-7."""
    step, rise = np.arange(TOTAL), warmup * TOTAL
    progress = (step - rise) / (TOTAL - rise)
    fall = {"constant": np.ones(TOTAL), "linear": 1 - progress, "cosine": (1 + np.cos(np.pi * progress)) / 2}[name]
    expected = RATE * np.where(step < rise, step / max(rise, 1), fall)
    np.testing.assert_allclose(rates_of_all_steps(ScheduleConfig(name, warmup)), expected, rtol=0, atol=1e-6 * RATE)


def test_one_cycle_follows_torch(torch: Any) -> None:
    """Torch ends each phase one step early: its last step is the end, optax's would be the one after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    share = (0.3 * TOTAL + 1) / (TOTAL + 1)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, TOTAL + 1, pct_start=share, cycle_momentum=False)
    expected = []
    for _ in range(TOTAL):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cycle.step()
    np.testing.assert_allclose(rates_of_all_steps(ScheduleConfig("one_cycle")), expected, rtol=0, atol=1e-6 * RATE)


def test_nesterov_momentum_with_decay_of_kernels_only_follows_torch(torch: Any) -> None:
    config = OptimizerConfig("momentum", 1e-2, nesterov=True, weight_decay=1e-2, decay_kernels_only=True)
    rng = np.random.default_rng(0)
    start = {name: rng.normal(size=16) for name in ("kernel", "bias")}
    gradients = [{name: rng.normal(size=16) for name in start} for _ in range(20)]
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in start.items()}
    groups = [
        {"params": [parameters["kernel"]], "weight_decay": 1e-2},
        {"params": [parameters["bias"]], "weight_decay": 0},
    ]
    reference = torch.optim.SGD(groups, 1e-2, 0.9, nesterov=True)
    with jax.enable_x64(True):
        spec = make_train_spec(RunConfig(TINY, config), xla_block)
        tx = make_optimizer(
            spec.transform, hyperparameters(RunConfig(TINY, config)), decay_kernels_only=spec.decay_kernels_only
        )
        params: Any = {"layer": {name: jnp.asarray(value) for name, value in start.items()}}
        state = tx.init(params)
        for gradient in gradients:
            for name, parameter in parameters.items():
                parameter.grad = torch.from_numpy(gradient[name].copy())
            reference.step()
            updates, state = tx.update({"layer": jax.tree.map(jnp.asarray, gradient)}, state, params)
            params = optax.apply_updates(params, updates)
        for name, parameter in parameters.items():
            np.testing.assert_allclose(params["layer"][name], parameter.detach().numpy(), rtol=1e-14)  # seen: 7e-16


def test_smoothed_loss_follows_torch(torch: Any) -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(12, 10)).astype(np.float32), rng.integers(0, 10, 12).astype(np.int32)
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits[:9]), torch.from_numpy(labels[:9]).long(), label_smoothing=0.1
    )
    loss = smoothed_loss(jnp.asarray(logits), jnp.asarray(labels), 0.1, jnp.arange(12) < 9)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-6)
    np.testing.assert_allclose(
        smoothed_loss(jnp.asarray(logits), jnp.asarray(labels), 0.0),
        batch_metrics(jnp.asarray(logits), jnp.asarray(labels), 0).batch_means,
        rtol=1e-6,
    )


def test_cutout_blackens_one_square() -> None:
    """Its sides are 8 pixels where it lies inside, and 4 at least, since its centre does."""
    images = jnp.full((2000, 32, 32, 3), 255, jnp.uint8)
    black: Any = np.asarray(cutout(jax.random.key(0), images, 8) == 0).all(-1)
    rows, columns = black.any(2).sum(1), black.any(1).sum(1)
    assert set(rows) == set(columns) == {4, 5, 6, 7, 8}
    np.testing.assert_array_equal(black.sum((1, 2)), rows * columns)
    for counts in (rows, columns):
        # the centre is one of 32 places; 25 of them leave the square whole
        assert abs((counts == 8).mean() - 25 / 32) < 4 * np.sqrt(25 / 32 * 7 / 32 / 2000)


def test_clipped_gradients_and_the_average_enter_a_step() -> None:
    """One step of SGD without momentum: its length is the learning rate times the clipped norm."""
    optimizer = OptimizerConfig("sgd", 0.5, weight_decay=0.0, clip_norm=0.1)
    config = RunConfig(TINY, optimizer, ema=0.75, dataset="digits", batch_size=32)
    spec, train = make_train_spec(config, xla_block), load("digits", limit=32).train
    state = init_state(spec, jnp.int32(0))
    hyper = jax.tree.map(jnp.float32, hyperparameters(config))
    moved, _ = jax.jit(train_step, static_argnums=0)(
        spec, state, hyper, jnp.asarray(train.images), jnp.asarray(train.labels), jax.random.key(0)
    )
    before, after = (np.concatenate([np.ravel(a) for a in jax.tree.leaves(s.weights.params)]) for s in (state, moved))
    np.testing.assert_allclose(np.linalg.norm(after - before), 0.5 * 0.1, rtol=1e-5)
    assert moved.average is not None
    expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, state.weights, moved.weights)
    chex.assert_trees_all_close(moved.average, expected, rtol=0, atol=1e-6)  # seen: 0; the weights move by 1e-3


def test_a_run_follows_the_whole_recipe() -> None:
    """Each step rebuilt by its formulas, the network's gradients aside: to 1e-4 (seen: 2e-5); weights move by 5e-3."""
    optimizer = dataclasses.replace(RECIPE.optimizer, weight_decay=0.1, clip_norm=1.0)
    config = dataclasses.replace(RECIPE, optimizer=optimizer, batch_size=50, epochs=2, snapshots=(1,))
    dataset = load("digits", limit=150)
    spec, steps, classes = make_train_spec(config, default_block()), 3, config.model.classes
    weights = init_state(spec, jnp.int32(config.seed)).weights

    @jax.jit
    def differentiate(weights: Weights, images: Any, labels: Any) -> Any:
        def loss(params: Any) -> Any:
            output, updated = forward(spec.model, weights._replace(params=params), images, jax.random.key(0))
            targets = 0.9 * jax.nn.one_hot(labels, classes) + 0.1 / classes
            return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(output.logits), -1)), updated

        return jax.grad(loss, has_aux=True)(weights.params)

    average = weights
    momentum = jax.tree.map(jnp.zeros_like, weights.params)
    for epoch in range(config.epochs):
        order_key, steps_key = jax.random.split(epoch_key(jnp.int32(config.seed), jnp.int32(epoch)))
        order = np.asarray(jax.random.permutation(order_key, 150))
        for step in range(steps):
            batch = order[50 * step : 50 * step + 50]
            key, _ = jax.random.split(jax.random.fold_in(steps_key, step))
            moved = transform(jnp.asarray(dataset.train.images[batch]), sample_params(key, 50, bounds(config.augment)))
            images = cutout(jax.random.fold_in(key, 5), moved, 8)
            gradients, statistics = differentiate(weights, images, dataset.train.labels[batch])
            norm = np.sqrt(sum(float(jnp.sum(jnp.square(g))) for g in jax.tree.leaves(gradients)))
            gradients = jax.tree.map(lambda g, norm=norm: g * min(1, 1.0 / norm), gradients)
            for layer, values in gradients.items():
                if "kernel" in values:
                    values["kernel"] = values["kernel"] + 0.1 * weights.params[layer]["kernel"]
            momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, gradients)
            rate = learning_rates(optimizer, config.schedule, epoch, config.epochs, steps)[step]
            params = jax.tree.map(
                lambda p, g, m, rate=rate: p - rate * (g + 0.9 * m), weights.params, gradients, momentum
            )
            weights = Weights(params, statistics)
            average = jax.tree.map(lambda a, w: 0.9 * a + 0.1 * w, average, weights)
    chex.assert_trees_all_close(fit(config, dataset).weights["epoch1"], average, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    [RECIPE.optimizer, OptimizerConfig("muon", 3e-3, weight_decay=0.5)],
    ids=lambda optimizer: optimizer.name,
)
def test_a_run_with_the_whole_recipe_resumes_with_the_same_bits(
    optimizer: OptimizerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    dataset, config = load("digits", limit=150), dataclasses.replace(RECIPE, optimizer=optimizer)
    undisturbed = fit(config, dataset)

    def interrupt(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(config, dataset, tmp_path / "run", on_epoch=interrupt)
    resumed = fit(config, dataset, tmp_path / "run")
    for ours, theirs in zip(resumed.history, undisturbed.history, strict=True):
        assert (ours["train"], ours["validation"]) == (theirs["train"], theirs["validation"])
    assert (resumed.summary["stopped"], resumed.summary["test"]) == ("epochs", undisturbed.summary["test"])


def test_a_custom_optimizer_trains(tmp_path: Path) -> None:
    dataset = load("digits", limit=150)
    config = dataclasses.replace(SMALL_RUN, optimizer=OptimizerConfig("lion"), epochs=1, snapshots=())
    with pytest.raises(ConfigError, match=r"optimizer\.name must be one of"):
        fit(config, dataset)
    with pytest.raises(ConfigError, match="a name for your own optimizer, not adam"):
        fit(dataclasses.replace(config, optimizer=OptimizerConfig()), dataset, optimizer=optax.lion(1e-3))
    falling = dataclasses.replace(config, schedule=ScheduleConfig("linear"))
    with pytest.raises(ConfigError, match="schedule must be constant"):
        fit(falling, dataset, optimizer=optax.lion(1e-3))
    stays = fit(config, dataset, optimizer=optax.set_to_zero())
    moves = fit(config, dataset, tmp_path / "run", optimizer=optax.lion(1e-3))
    for weights, changed in ((stays.weights, False), (moves.weights, True)):
        pairs = zip(*(jax.tree.leaves(weights[name].params) for name in ("initial", "best")), strict=True)
        assert any(np.any(a != b) for a, b in pairs) == changed
