"""The transforms against Pillow, the random parameters against their distributions.

Pixels that differ from Pillow's are counted on an image whose pixels are their own addresses, so that no wrong pixel is
overlooked. Comments next to tolerances give the counts seen with jax 0.10.1 and Pillow 13.0 on an x86-64 CPU.
"""

import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from scipy import stats
from sklearn.datasets import load_digits, load_sample_image

from cnn3.config import AugmentConfig
from cnn3.training.augment import TransformParams, augment, bounds, normalize, sample_params, transform
from tests.helpers.pillow_transforms import affine_matrix, transform_with_pillow

# Pillow rounds each coefficient by up to 1/2 unit of 2^-16 pixel; ours may be 1 unit off that. With two slopes times at
# most 31 pixels, and an offset, a coordinate is within 1.5 x 63 units of the exact one.
EDGE = 1.5 * 63 / 65536

transform_jit = jax.jit(transform)
draw_within = jax.jit(sample_params, static_argnums=1)
draw_jit = partial(draw_within, bounds=bounds(AugmentConfig()))
augment_usual = partial(augment, bounds=bounds(AugmentConfig()))
augment_jit = jax.jit(augment_usual)


def neutral(batch: int) -> TransformParams:
    """Return parameters that change nothing."""
    zeros = jnp.zeros(batch)
    return TransformParams(jnp.zeros((batch, 2), int), jnp.zeros(batch, bool), zeros, zeros, jnp.ones(batch))


def per_image(draws: TransformParams) -> list[TransformParams]:
    return [TransformParams(*fields) for fields in zip(*map(np.asarray, draws), strict=True)]


def differing(images: np.ndarray, draws: TransformParams) -> np.ndarray:
    """Return the positions (image, row, column) of the pixels that differ from Pillow's."""
    pairs = zip(images, per_image(draws), strict=True)
    expected = np.stack([transform_with_pillow(image, params) for image, params in pairs])
    return np.argwhere((np.asarray(transform_jit(images, draws)) != expected).any(-1))


def distance_to_edge(draws: TransformParams, row: int, column: int) -> float:
    """Return how near to a pixel edge, in pixels, the coordinates of an output pixel lie in either resample."""
    a, b, c, _, e, f = affine_matrix(float(draws.shear), float(draws.scale))
    affine = np.array([a * (column + 0.5) + b * (row + 0.5) + c, e * (row + 0.5) + f])
    x, y = np.floor(affine) - 15.5
    sin, cos = math.sin(math.radians(float(draws.angle))), math.cos(math.radians(float(draws.angle)))
    coordinates = np.array([*affine, cos * x - sin * y, sin * x + cos * y])
    return float(np.abs(coordinates - np.rint(coordinates)).min())


def addresses(batch: int) -> np.ndarray:
    """Return images whose pixels are their own (row + 1, column + 1, 255): all different, none black."""
    rows, columns = np.mgrid[1:33, 1:33]
    image = np.stack([rows, columns, np.full((32, 32), 255)], -1).astype(np.uint8)
    return np.broadcast_to(image, (batch, 32, 32, 3))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Return 520 tiles of two photographs and 480 handwritten digits."""
    tiles = [
        photo[row : row + 32, column : column + 32]
        for photo in map(load_sample_image, ("china.jpg", "flower.jpg"))
        for row in range(0, 13 * 32, 32)
        for column in range(0, 20 * 32, 32)
    ]
    grey, _ = load_digits(return_X_y=True)
    digits = (grey[:480].reshape(-1, 8, 8) * 15.9375).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    return np.concatenate([np.stack(tiles), digits[..., None].repeat(3, -1)])


def test_transformed_pictures_equal_pillows(pictures):
    assert len(pictures) == 1000
    places = differing(pictures, draw_jit(jax.random.key(0), len(pictures)))
    assert len(places) <= 3  # of 1,024,000 pixels; seen: 0


def test_pixels_differ_from_pillows_rarely_and_only_at_edges():
    draws = draw_jit(jax.random.key(1), 10_000)
    places = differing(addresses(10_000), draws)
    assert len(places) <= 20  # of 10,240,000; seen: 0, and 0, 0, 1, 0, 9 with the keys 0 and 2 to 5
    params = per_image(draws)
    assert all(distance_to_edge(params[image], row, column) < EDGE for image, row, column in places)


def test_few_pixels_are_near_an_edge():
    """Otherwise the test above would prove nothing."""
    params = per_image(draw_jit(jax.random.key(1), 30))
    near = [
        distance_to_edge(draws, row, column) < EDGE for draws in params for row in range(32) for column in range(32)
    ]
    assert np.mean(near) < 0.04  # seen: 0.018


@pytest.mark.parametrize(
    ("fields", "tolerance"),
    [
        (("offset",), 0),
        (("flip",), 0),
        (("angle",), 5),  # seen: 0 of 2,048,000
        (("shear",), 5),  # seen: 0
        (("scale",), 600),  # seen: 356; for a shear of exactly 0 Pillow scales in double precision
        (("shear", "scale"), 5),  # seen: 0
    ],
)
def test_each_transform_alone(fields, tolerance):
    drawn = draw_jit(jax.random.key(2), 2000)
    draws = neutral(2000)._replace(**{field: getattr(drawn, field) for field in fields})
    places = differing(addresses(2000), draws)
    assert len(places) <= tolerance
    params = per_image(draws)
    assert all(distance_to_edge(params[image], row, column) < EDGE for image, row, column in places)


single_draws = st.builds(
    lambda offset, flip, angle, shear, scale: TransformParams(
        jnp.array([offset]), jnp.array([flip]), jnp.array([angle]), jnp.array([shear]), jnp.array([scale])
    ),
    offset=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    flip=st.booleans(),
    angle=st.floats(-10, 10, width=32),
    shear=st.floats(-10, 10, width=32),
    scale=st.floats(np.float32(0.8).item(), np.float32(1.2).item(), width=32),
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(draws=single_draws)
def test_any_transform_equals_pillows_away_from_edges(draws):
    (params,) = per_image(draws)
    places = differing(addresses(1), draws)
    assert all(distance_to_edge(params, row, column) < EDGE for _, row, column in places)


WIDEST = AugmentConfig(padding=16, flip=0.5, rotation=25, shear=25, scale=(0.75, 2))


def test_pixels_differ_from_pillows_rarely_and_only_at_edges_with_the_widest_bounds():
    draws = draw_within(jax.random.key(12), 4000, bounds(WIDEST))
    assert float(jnp.abs(draws.angle).max()) > 24.9  # the bounds are reached
    places = differing(addresses(4000), draws)
    assert len(places) <= 20  # of 4,096,000; seen: 7
    params = per_image(draws)
    assert all(distance_to_edge(params[image], row, column) < EDGE for image, row, column in places)


def test_each_bound_changes_only_its_own_parameter():
    narrow = {"padding": 0, "flip": 0.0, "rotation": 0.0, "shear": 0.0, "scale": (1.0, 1.0)}
    fields = {"padding": "offset", "flip": "flip", "rotation": "angle", "shear": "shear", "scale": "scale"}
    usual = draw_jit(jax.random.key(13), 500)
    for name, value in narrow.items():
        drawn = draw_within(jax.random.key(13), 500, bounds(replace(AugmentConfig(), **{name: value})))
        for field in TransformParams._fields:
            unchanged = np.array_equal(getattr(drawn, field), getattr(usual, field))
            assert unchanged == (field != fields[name]), (name, field)
        assert np.unique(getattr(drawn, fields[name])).tolist() == [1.0 if name == "scale" else 0]


def test_without_transforms_images_stay_the_same(pictures):
    disabled = AugmentConfig(padding=0, flip=0, rotation=0, shear=0, scale=(1, 1))
    np.testing.assert_array_equal(jax.jit(augment)(jax.random.key(14), pictures, bounds(disabled)), pictures)


def test_neutral_draws_change_nothing(pictures):
    np.testing.assert_array_equal(transform_jit(pictures, neutral(len(pictures))), pictures)


def test_padding_is_black():
    white = np.full((1, 32, 32, 3), 255, np.uint8)
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[4:, :-3] = 255
    draws = neutral(1)._replace(offset=jnp.array([[-4, 3]]))
    np.testing.assert_array_equal(transform_jit(white, draws)[0], expected)


def test_pixels_outside_the_image_are_black():
    """An image scaled by 0.8 spans 25.6 pixels: it covers the middles of 26, from 3 to 28."""
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[3:29, 3:29] = 255
    draws = neutral(1)._replace(scale=jnp.array([0.8]))
    np.testing.assert_array_equal(transform_jit(np.full((1, 32, 32, 3), 255, np.uint8), draws)[0], expected)


def test_pixels_moved_out_of_the_image_do_not_return():
    """A corner rotated out of the image stays black when a scale below 1 brings its position back into view."""
    draws = neutral(1)._replace(angle=jnp.array([10.0]), scale=jnp.array([0.8]))
    result = np.asarray(transform_jit(addresses(1), draws))
    assert not (result[0, :, :, :2] == 1).all(-1).any()  # the input's pixel (0, 0)
    np.testing.assert_array_equal(result[0], transform_with_pillow(addresses(1)[0], per_image(draws)[0]))
    np.testing.assert_array_equal(result[0, :3], 0)


def test_draws_follow_their_distributions():
    draws = draw_jit(jax.random.key(4), 20_000)
    offset = np.asarray(draws.offset)
    assert offset.shape == (20_000, 2)
    counts = np.histogram2d(*offset.T, bins=9, range=((-4.5, 4.5), (-4.5, 4.5)))[0]
    assert counts.sum() == 20_000  # none is outside -4..4
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    assert stats.binomtest(int(draws.flip.sum()), 20_000).pvalue > 1e-3
    for values, low, high in ((draws.angle, -10, 10), (draws.shear, -10, 10), (draws.scale, 0.8, 1.2)):
        assert values.shape == (20_000,)
        assert np.float32(low) <= values.min() <= values.max() <= np.float32(high)
        assert stats.kstest(np.asarray(values, np.float64), "uniform", (low, high - low)).pvalue > 1e-3


def test_draws_are_independent():
    draws = draw_jit(jax.random.key(6), 20_000)
    columns = np.column_stack([np.asarray(field, np.float64) for field in draws])
    correlation = np.corrcoef(columns, rowvar=False) - np.eye(6)
    assert np.abs(correlation).max() < 4 / math.sqrt(20_000)


def test_a_key_determines_the_result(pictures):
    images = jnp.asarray(pictures[:64])
    result = augment_jit(jax.random.key(7), images)
    np.testing.assert_array_equal(result, augment_jit(jax.random.key(7), images))
    with_other_key = augment_jit(jax.random.key(8), images)
    assert (result != with_other_key).any((1, 2, 3)).all()


def test_a_compiled_loop_gives_the_same_pixels(pictures):
    """A compiler may fuse differently there, and so change a float by a unit in the last place."""
    images, keys = jnp.asarray(pictures[:640]).reshape(10, 64, 32, 32, 3), jax.random.split(jax.random.key(9), 10)
    looped = jax.jit(partial(lax.map, lambda pair: augment_usual(*pair)))((keys, images))
    unlooped = jnp.stack([augment_jit(key, batch) for key, batch in zip(keys, images, strict=True)])
    assert (looped != unlooped).any(-1).sum() <= 3  # of 655,360 pixels; seen: 0


def test_an_image_is_gathered_once(pictures):
    jaxpr = jax.make_jaxpr(transform)(pictures[:2], draw_jit(jax.random.key(0), 2))
    assert str(jaxpr).count(" gather[") == 1


def test_normalize_is_the_formula(pictures):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    all_values = np.arange(256, dtype=np.uint8).repeat(12).reshape(1, 32, 32, 3)
    images = np.concatenate([pictures[:100], all_values])
    result = jax.jit(normalize)(images)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, (images / 255 - mean) / std, rtol=0, atol=1e-6)  # seen: 5.4e-7
