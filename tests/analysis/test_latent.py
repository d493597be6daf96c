"""The latent space: latents, scores and maps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.manifold import trustworthiness

import cnn3
from cnn3.analysis.latent import compute_latents, measure_separability, tsne
from cnn3.nn.network import CNN3
from cnn3.training.augment import normalize
from tests.helpers.tiny import TINY, initial_weights

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def digits() -> cnn3.Dataset:
    return cnn3.load("digits")


@pytest.fixture(scope="module")
def model() -> CNN3:
    return CNN3(TINY)


def clusters(distance: float, count: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return points around the corners of a simplex of this size, in random order, and their classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % classes)
    return (rng.normal(size=(count, 8)) + distance * np.eye(8)[labels]).astype(np.float32), labels


# Latents


def test_latents_equal_the_networks_in_both_modes(model, digits):
    weights, images = initial_weights(model), digits.test.images[:86]
    variables, x = weights._asdict(), normalize(jnp.asarray(images))
    inference = jax.jit(partial(model.apply, train=False))(variables, x).latent
    np.testing.assert_allclose(compute_latents(model, weights, images), inference, rtol=0, atol=1e-5)  # seen: 1.0e-6
    latents = compute_latents(model, weights, images, training_mode=True)
    apply_train = jax.jit(partial(model.apply, train=True, mutable=["batch_stats"]))
    for batch in (slice(0, 64), slice(64, 86)):
        output, _ = apply_train(variables, x[batch])
        np.testing.assert_allclose(latents[batch], output.latent, rtol=0, atol=1e-5)
    assert np.abs(latents - inference).max() > 0.01


@pytest.mark.parametrize("count", [40, 64])
def test_a_single_batch_is_enough(count, model, digits):
    latents = compute_latents(model, initial_weights(model), digits.test.images[:count], training_mode=True)
    assert latents.shape == (count, 128)


# Scores


def brute_force(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the accuracy of 10 nearest neighbours and the silhouette, point by point."""
    correct, widths = [], []
    for i, point in enumerate(values.astype(float)):
        distances = np.sqrt(((values - point) ** 2).sum(1))
        others = sorted((j for j in range(len(values)) if j != i), key=lambda j: distances[j])
        votes = [int(labels[j]) for j in others[:10]]
        winner = max(sorted(set(labels.tolist())), key=votes.count)
        correct.append(winner == labels[i])
        means = {c: np.mean([distances[j] for j in others if labels[j] == c]) for c in set(labels.tolist())}
        a = means.pop(int(labels[i]))
        b = min(means.values())
        widths.append((b - a) / max(a, b))
    return float(np.mean(correct)), float(np.mean(widths))


@pytest.mark.parametrize("distance", [0, 2, 20])
def test_scores_follow_their_formulas(distance):
    values, labels = clusters(distance)
    scores = measure_separability(values, labels)
    neighbours, silhouette = brute_force(values, labels)
    assert scores.neighbours == pytest.approx(neighbours)
    assert scores.silhouette == pytest.approx(silhouette, abs=1e-6)


def test_scores_rise_from_chance_to_one_with_distance():
    near, middle, far = (measure_separability(*clusters(distance, count=300)) for distance in (0, 2, 20))
    for a, b, c in zip(near, middle, far, strict=True):
        assert a < b < c
    assert near.neighbours == pytest.approx(1 / 3, abs=0.1)
    assert near.probe == pytest.approx(1 / 3, abs=0.1)
    assert near.silhouette == pytest.approx(0, abs=0.03)
    assert far.neighbours == far.probe == 1


def test_the_probe_is_linear_standardised_and_scored_on_the_second_half():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3))
    labels = (values[:, 0] > 0).astype(int)
    values[:, 0] *= 1e-6  # hidden unless values are standardised
    values[:, 1] *= 1e6
    assert measure_separability(values, labels).probe > 0.95
    swapped = np.where(np.arange(400) < 200, labels, 1 - labels)  # the second half contradicts the first
    assert measure_separability(values, swapped).probe < 0.05
    ring = np.linalg.norm(values / values.std(0), axis=1) > 1.5  # no plane separates a ball from its surroundings
    assert measure_separability(values, ring.astype(int)).probe < 0.75


def test_scores_of_real_digits(digits):
    pixels = digits.test.images[..., 0].reshape(360, -1).astype(np.float32)
    scores = measure_separability(pixels, digits.test.labels)
    neighbours, silhouette = brute_force(pixels[:, ::4], digits.test.labels)
    coarse = measure_separability(pixels[:, ::4], digits.test.labels)
    assert coarse.neighbours == pytest.approx(neighbours)
    assert coarse.silhouette == pytest.approx(silhouette, abs=1e-5)
    assert scores.neighbours > 0.9  # raw pixels of digits are known to be easy
    assert scores.probe > 0.9
    shuffled = np.random.default_rng(0).permutation(digits.test.labels)
    assert measure_separability(pixels, shuffled).neighbours < 0.2


# t-SNE


def test_tsne_has_the_settings_of_the_original_study(monkeypatch):
    settings = {}

    class Spy:
        def __init__(self, *args, **options):
            settings.update(options, components=args)

        def fit_transform(self, values):
            return values[:, :2]

    monkeypatch.setattr("sklearn.manifold.TSNE", Spy)
    tsne(np.zeros((50, 3)))
    assert settings == {"components": (2,), "perplexity": 40, "max_iter": 2500, "init": "pca", "random_state": 3136}
    start = np.random.default_rng(0).normal(5, 100, (50, 2))
    tsne(np.zeros((50, 3)), start)
    assert settings["early_exaggeration"] == 1
    np.testing.assert_allclose(settings["init"], start, rtol=5e-7)  # seen: 5.7e-8


def test_tsne_keeps_neighbours_together(digits):
    pixels = digits.test.images[::2, ::4, ::4, 0].reshape(180, -1).astype(np.float32)
    first = tsne(pixels)
    assert first.shape == (180, 2)
    assert trustworthiness(pixels, first, n_neighbors=10) > 0.95
    assert np.array_equal(first, tsne(pixels))


def test_tsne_keeps_the_arrangement_of_its_initial_map(digits):
    pixels = digits.test.images[::2, ::4, ::4, 0].reshape(180, -1).astype(np.float32)
    first = tsne(pixels)
    turned = first @ np.array([[0.0, 1.0], [-1.0, 0.0]])

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef((a - a.mean(0)).ravel(), (b - b.mean(0)).ravel())[0, 1])

    assert correlation(tsne(pixels, turned), turned) > 0.95
    assert correlation(first, turned) < 0.5
