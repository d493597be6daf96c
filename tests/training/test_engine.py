"""The training engine: every image once, compiled once, nothing moved in between."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cnn3.config import PROTOCOLS, ModelConfig, OptimizerConfig, Protocol, RunConfig
from cnn3.data.dataset import Split
from cnn3.data.loading import load
from cnn3.kernels import default_block
from cnn3.nn.layers import xla_block
from cnn3.nn.network import Dropout
from cnn3.runs.compilation import compile_epoch
from cnn3.runs.fit import fit
from cnn3.training.augment import normalize
from cnn3.training.evaluate import evaluate, evaluate_in_training_mode, predict
from cnn3.training.optim import Hyperparameters, hyperparameters, sgd
from cnn3.training.state import TrainSpec, init_state, make_train_spec
from cnn3.training.step import epoch_key, fori_batches, forward, train_step
from tests.helpers import parity
from tests.helpers.compilations import count_compilations
from tests.helpers.tiny import SMALL, SMALL_RUN

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def make_hyper(optimizer: OptimizerConfig) -> Hyperparameters:
    return jax.tree.map(jnp.float32, hyperparameters(RunConfig(SMALL, optimizer)))


HYPER = make_hyper(OptimizerConfig())
SEED, EPOCH = jnp.int32(3136), jnp.int32(0)


@pytest.fixture(scope="module")
def digits() -> Split:
    return jax.device_put(load("digits", limit=150).train)


def spec(batch_size: int = 64, protocol: str = "corrected", model: ModelConfig = SMALL) -> TrainSpec:
    config = RunConfig(model, OptimizerConfig(), PROTOCOLS[protocol], "digits", batch_size=batch_size)  # type: ignore[index]
    return make_train_spec(config, default_block())


@given(st.integers(1, 400), st.integers(1, 130))
@settings(max_examples=12, phases=(Phase.explicit, Phase.generate))  # every example has to be compiled
def test_batches_count_every_item_once(count: int, batch_size: int) -> None:
    def body(carry: tuple, step, positions, mask):
        visits, steps, size = carry
        return visits.at[positions].add(mask), steps + 1, size + jnp.sum(mask)

    visits, steps, size = fori_batches(body, (jnp.zeros(count, jnp.int32), 0, 0), count, batch_size)
    assert np.all(np.asarray(visits) == 1)
    assert int(steps) == -(-count // batch_size)
    assert int(size) == count


def test_an_epoch_is_its_steps(digits: Split) -> None:
    """150 images in batches of 64 are 64, 64 and 22; the epoch, which pads the last one, equals those steps.

    To 1e-5 of each array's largest value, or of one; seen: 1.3e-6.
    """
    # Not Adam, which turns the rounding errors of zero gradients into full steps.
    optimizer = OptimizerConfig("momentum", 1e-2, 0.9, 0.0)
    config = RunConfig(SMALL, optimizer, dataset="digits", batch_size=64)
    run, hyper = make_train_spec(config, default_block()), make_hyper(optimizer)
    start = init_state(run, SEED)
    order_key, steps_key = jax.random.split(jax.random.fold_in(jax.random.key(SEED), EPOCH))
    order = jax.random.permutation(order_key, 150)
    state, correct, loss = start, 0, 0.0
    chex.clear_trace_counter()
    step_fn = jax.jit(chex.assert_max_traces(train_step, n=2), static_argnums=0)  # one trace for each batch size
    for step, batch in enumerate((order[:64], order[64:128], order[128:])):
        key = jax.random.fold_in(steps_key, step)
        state, sums = step_fn(run, state, hyper, digits.images[batch], digits.labels[batch], key, jnp.int32(step))
        correct, loss = correct + int(sums.correct), loss + float(sums.loss)
    trained, sums = compile_epoch(run, 150)(start, hyper, *digits, SEED, EPOCH)
    assert int(sums.correct) == correct
    np.testing.assert_allclose(sums.loss, loss, rtol=8e-7)  # seen: 8.4e-8
    worst = max(
        float(np.abs(actual - expected).max() / max(1, np.abs(expected).max()))
        for actual, expected in zip(jax.tree.leaves(trained), jax.tree.leaves(state), strict=True)
    )
    assert worst <= 1e-5


def test_each_shape_compiles_once_whatever_the_learning_rate_and_seed() -> None:
    tiny = ModelConfig(channels=(2, 2, 2), hidden=(128,))
    for batch_size in (40, 30):
        run = spec(batch_size, model=tiny)._replace(transform=sgd)  # quicker to compile than Adam
        with count_compilations() as compilations:
            compile_epoch(run, 120)
        assert len(compilations) == 1
    images = jax.device_put(np.zeros((120, 32, 32, 3), np.uint8))
    labels = jax.device_put(np.zeros(120, np.int32))
    states = [init_state(run, jax.device_put(np.int32(seed))) for seed in (1, 2)]
    rates = [jax.device_put(np.float32(rate)) for rate in (1e-3, 1e-4)]
    with count_compilations() as compilations:
        for state, rate, seed in zip(states, rates, (SEED, EPOCH), strict=True):
            compile_epoch(run, 120)(state, HYPER._replace(learning_rate=rate), images, labels, seed, EPOCH)
    assert compilations == []


def test_nothing_crosses_between_host_and_device_in_an_epoch(digits: Split) -> None:
    compiled = compile_epoch(spec(), 150)
    state = init_state(spec(), SEED)
    with jax.transfer_guard("disallow"):
        with pytest.raises(Exception, match=r"[Dd]isallowed"):
            jnp.add(np.ones(3), 1)  # the guard works
        jax.block_until_ready(compiled(state, HYPER, *digits, SEED, EPOCH))


def test_the_state_is_donated(digits: Split) -> None:
    state = init_state(spec(), SEED)
    compile_epoch(spec(), 150)(state, HYPER, *digits, SEED, EPOCH)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))


@pytest.mark.whole
def test_bfloat16_follows_float32(digits: Split) -> None:
    """Parameters and statistics stay float32; mean losses of eight epochs differ by at most 0.05; seen: 0.011."""
    model, hyper = dataclasses.replace(SMALL, dropout=0.0), HYPER._replace(dropout=jnp.float32(0.0))
    losses = {}
    for precision in ("fp32", "bf16"):
        config = RunConfig(model, dataset="digits", batch_size=50, precision=precision)  # type: ignore[arg-type]
        run = make_train_spec(config, xla_block)
        step_fn = jax.jit(train_step, static_argnums=0)  # XLA's own convolution is slow inside a loop
        state, step_losses = init_state(run, SEED), []
        for step in range(24):
            batch = slice(step % 3 * 50, step % 3 * 50 + 50)
            key = jax.random.fold_in(jax.random.key(0), step)
            state, sums = step_fn(run, state, hyper, digits.images[batch], digits.labels[batch], key)
            step_losses.append(float(sums.batch_means))
        losses[precision] = np.reshape(step_losses, (8, 3)).mean(1)
        assert {leaf.dtype for leaf in jax.tree.leaves(state.weights)} == {jnp.dtype("float32")}
    assert np.any(losses["fp32"] != losses["bf16"])
    assert losses["fp32"][-1] < 0.85 * losses["fp32"][0], losses
    np.testing.assert_allclose(losses["bf16"], losses["fp32"], atol=0.05, rtol=0)


def test_training_learns(digits: Split) -> None:
    """From about the loss of a guess, log(10), to less than 0.7 of it; seen: 2.38, then 0.58 of it."""
    hyper = HYPER._replace(learning_rate=jnp.float32(5e-3))
    state = init_state(spec(), SEED)
    losses = []
    for epoch in range(10):
        state, sums = compile_epoch(spec(), 150)(state, hyper, *digits, SEED, jnp.int32(epoch))
        losses.append(float(sums.loss) / 150)
    assert losses[0] > np.log(10) * 0.9
    assert losses[-1] < 0.7 * losses[0]


def test_evaluation_does_not_depend_on_the_batch_size_and_counts_the_partial_batch(digits: Split) -> None:
    model = spec().model
    weights = init_state(spec(), SEED).weights
    logits = np.asarray(predict(model, 64, weights, digits.images).logits, np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    for batch_size, count in ((64, 150), (75, 150), (64, 100)):
        labels = np.asarray(digits.labels)[:count]
        sums = evaluate(model, batch_size, weights, *digits, count)
        assert int(sums.correct) == np.sum(np.argmax(logits[:count], -1) == labels)
        loss = -log_probabilities[np.arange(count), labels].sum()
        np.testing.assert_allclose(sums.loss, loss, rtol=5e-7)  # seen: 5.5e-8


def test_published_validation_moves_the_running_statistics_as_torch_does(digits: Split) -> None:
    """One batch, so that its order does not matter; dropout off, so that nothing is random."""
    run = spec(150, "published", ModelConfig(batch_norm=True, channels=(8, 8, 8), hidden=(32, 128)))
    weights = init_state(run, SEED).weights
    moved, sums = evaluate_in_training_mode(run.model, 150, weights, *digits, SEED, EPOCH)
    output, statistics = jax.jit(forward, static_argnums=0)(run.model, weights, digits.images, jax.random.key(0))
    chex.assert_trees_all_close(moved.batch_stats, statistics, rtol=0, atol=8e-7)  # seen: 8.9e-8
    assert int(sums.correct) == int(jnp.sum(jnp.argmax(output.logits, -1) == digits.labels))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(moved.batch_stats), jax.tree.leaves(weights.batch_stats), strict=True)
    )


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_published_validation_follows_torch_over_batches(dropout: float, digits: Split, torch: Any) -> None:
    """150 images, in batches of 64 and a last one of 22: statistics to 2e-6 (seen: 2.5e-7); with dropout it differs."""
    config = dataclasses.replace(SMALL, dropout=dropout)
    reference = parity.reference(config, discard=True, dtype=np.float32)
    model, weights = parity.cnn3_copy(reference, default_block())
    moved, sums = evaluate_in_training_mode(model, 64, weights, *digits, SEED, EPOCH)
    order_key, _ = jax.random.split(jax.random.fold_in(epoch_key(SEED, EPOCH), 1))
    order = np.asarray(jax.random.permutation(order_key, 150))
    images, labels = np.asarray(normalize(jnp.asarray(digits.images)))[order], np.asarray(digits.labels)[order]
    reference.config = dataclasses.replace(config, dropout=0.0)
    losses, correct = [], 0
    with torch.no_grad():
        for i in range(0, 150, 64):
            logits, _ = reference(parity.nchw(images[i : i + 64]))
            target = torch.from_numpy(labels[i : i + 64].astype(np.int64))
            losses.append(torch.nn.functional.cross_entropy(logits, target).item())
            correct += int((logits.argmax(1) == target).sum())
    if dropout:
        assert abs(float(sums.batch_means) - sum(losses)) > 0.01
        return
    _, expected = parity.cnn3_copy(reference, default_block())
    chex.assert_trees_all_close(moved.batch_stats, expected.batch_stats, rtol=0, atol=2e-6)
    np.testing.assert_allclose(sums.batch_means, sum(losses), rtol=1e-5)
    assert int(sums.correct) == correct


def test_published_runs_keep_what_validation_moves_and_divide_by_whole_batches() -> None:
    dataset = load("digits", limit=150)
    config = dataclasses.replace(SMALL_RUN, snapshots=(0,))
    corrected = fit(config, dataset)
    published = fit(dataclasses.replace(config, protocol=Protocol(validate_in_training_mode=True)), dataset)
    padded = fit(dataclasses.replace(config, protocol=Protocol(pad_accuracy=True, mean_of_batch_means=True)), dataset)

    model = make_train_spec(config, default_block()).model
    ours, theirs = corrected.weights["epoch0"], published.weights["epoch0"]
    moved, sums = evaluate_in_training_mode(model, 64, ours, *dataset.validation, jnp.int32(config.seed), EPOCH)
    chex.assert_trees_all_close(ours.params, theirs.params, rtol=0, atol=1e-6)
    chex.assert_trees_all_close(moved.batch_stats, theirs.batch_stats, rtol=0, atol=1e-6)
    (record,) = published.history
    assert record["validation"]["accuracy"] == pytest.approx(int(sums.correct) / 143)

    for split, count in {"train": 150, "validation": 143}.items():  # three batches of 64 each
        accuracies = [run.history[0][split]["accuracy"] for run in (corrected, padded)]
        assert 192 * accuracies[1] == pytest.approx(count * accuracies[0])
    assert padded.history[0]["train"]["loss"] != corrected.history[0]["train"]["loss"]


def test_dropout_drops_and_scales_as_torch_does() -> None:
    """Zeroes a fraction p of the values and multiplies the others by 1/(1-p)."""
    apply = jax.jit(Dropout().apply)
    rngs = {"dropout": jax.random.key(0)}
    output = np.asarray(apply({}, jnp.ones(100_000), 0.2, rngs=rngs))
    assert set(np.unique(output)) == {0.0, np.float32(1.25)}
    assert abs((output == 0).mean() - 0.2) < 4 * (0.2 * 0.8 / 100_000) ** 0.5
    assert np.all(np.asarray(apply({}, jnp.ones(100_000), 0.0, rngs=rngs)) == 1)


def test_networks_that_differ_only_in_dropout_share_a_compiled_epoch(digits: Split) -> None:
    models = [dataclasses.replace(SMALL, dropout=rate) for rate in (0.2, 0.0, 0.5)]
    compile_epoch(spec(model=models[0]), 150)
    losses = []
    with count_compilations() as compilations:
        for model in models:
            state = init_state(spec(), SEED)
            hyper = HYPER._replace(dropout=jax.device_put(np.float32(model.dropout)))
            _, sums = compile_epoch(spec(model=model), 150)(state, hyper, *digits, SEED, EPOCH)
            losses.append(float(sums.loss))
    assert "jit(train_epoch)" not in compilations
    assert len(set(losses)) == 3
