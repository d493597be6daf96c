"""`load`: its arguments, the report's split, and the digits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from cnn3.data.dataset import DataError
from cnn3.data.loading import load
from cnn3.data.paths import tfds_folder
from cnn3.data.splits import split_indices
from tests.helpers.original_split import original_split


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "mnist"},
            "no data set or file .mnist.: choose one of cifar10, cifar100, digits, or name",
        ),
        ({"name": "digits", "limit": 0}, "limit 0 is out of range: digits has 1294 training images"),
        ({"name": "digits", "limit": 1295}, "limit 1295 is out of range"),
        ({"name": "digits", "seed": -1}, "seed -1 cannot .* from 0 to 4294967295"),
        ({"name": "digits", "seed": 2**32}, "seed 4294967296 cannot"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(**arguments)


def test_limit_keeps_the_first_training_images() -> None:
    full, part = load("digits"), load("digits", limit=100)
    assert len(part.train.labels) == 100
    np.testing.assert_array_equal(part.train.images, full.train.images[:100])
    np.testing.assert_array_equal(part.train.labels, full.train.labels[:100])
    np.testing.assert_array_equal(part.validation.images, full.validation.images)
    np.testing.assert_array_equal(part.test.images, full.test.images)


@given(count=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1))
def test_split_is_the_reports(count: int, seed: int) -> None:
    train, validation = split_indices(count, seed)
    assert (train.tolist(), validation.tolist()) == original_split(count, seed)
    assert sorted([*train, *validation]) == list(range(count))
    assert len(validation) == count // 10


def enlarge(values: np.ndarray) -> np.ndarray:
    """Return 8x8 values at 32x32, by linear interpolation between the centres of pixels."""
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(8)))
    return weights @ values @ weights.T


def test_digits_are_scikit_learns_enlarged() -> None:
    values, labels = load_digits(return_X_y=True)
    dataset = load("digits", seed=7)
    order = np.random.RandomState(0).permutation(1797)  # the last 360 of which are the test set
    train, validation = (order[indices] for indices in original_split(1437, 7))
    rows = {"train": train, "validation": validation, "test": order[1437:]}
    assert dataset.name == "digits"
    assert dataset.classes == tuple("0123456789")
    for name, indices in rows.items():
        part = getattr(dataset, name)
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(part.labels, labels[indices])
        expected = enlarge(values[indices].reshape(-1, 8, 8) / 16 * 255)
        np.testing.assert_allclose(
            part.images, np.repeat(expected[..., None], 3, axis=-1), rtol=0, atol=1.5
        )  # rounded twice; seen: 1.2


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_test_set_does_not_depend_on_the_seed(seed: int) -> None:
    default, other = load("digits"), load("digits", seed=seed)
    np.testing.assert_array_equal(default.test.images, other.test.images)
    np.testing.assert_array_equal(default.test.labels, other.test.labels)


def test_the_folder_of_an_unknown_user_is_a_path() -> None:
    assert tfds_folder("~nosuchuser/data") == Path("~nosuchuser/data")
