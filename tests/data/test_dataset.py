"""`Dataset`: what it refuses, and how it is made from arrays."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn3 import DataError, Dataset, Split
from tests.helpers.original_split import original_split

CLASSES = ("ant", "bee", "cow")


def arrays(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return random images, and labels in which each class occurs."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 32, 32, 3), np.uint8), rng.permutation(np.arange(count) % classes)


def split(count: int) -> Split:
    images, labels = arrays(count)
    return Split(images, labels.astype(np.int32))


IMAGES, LABELS = split(5)
BAD_SPLITS: dict[str, tuple[Any, str]] = {
    "height": (
        Split(IMAGES[:, :28, :28], LABELS),
        r"must be a uint8 array of shape \(n, 32, 32, 3\), not uint8 of shape \(5, 28, 28, 3\)",
    ),
    "channels": (Split(IMAGES[..., :1], LABELS), r"not uint8 of shape \(5, 32, 32, 1\)"),
    "one image": (Split(IMAGES[0], LABELS), r"not uint8 of shape \(32, 32, 3\)"),
    "floats": (Split(IMAGES / np.float32(255), LABELS), r"not float32 of shape \(5, 32, 32, 3\)"),
    "int64 labels": (
        Split(IMAGES, LABELS.astype(np.int64)),
        r"must be an int32 array of shape \(n,\), not int64 of shape \(5,\)",
    ),
    "one-hot labels": (Split(IMAGES, np.eye(3, dtype=np.int32)[LABELS]), r"not int32 of shape \(5, 3\)"),
    "lengths": (Split(IMAGES, LABELS[:4]), "has 5 images, but 4 labels"),
    "empty": (Split(IMAGES[:0], LABELS[:0]), "is empty"),
    "label too large": (Split(IMAGES, LABELS + np.int32(1)), "must be from 0 to 2, the last class, not 3"),
    "label negative": (Split(IMAGES, LABELS - np.int32(1)), "must be from 0 to 2, the last class, not -1"),
}


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize(("bad", "message"), BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_a_bad_split_is_named_with_the_shape_and_type_wanted(part: str, bad: Split, message: str) -> None:
    splits: dict[str, Any] = {"train": split(6), "validation": split(7), "test": split(8)}
    with pytest.raises(DataError, match=f"^the {part} .*{message}") as caught:
        Dataset("own", CLASSES, **{**splits, part: bad})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My data"}, "name must be 1 to 40 of the characters a-z, 0-9 and _, not 'My data'"),
        ({"name": ""}, "not ''"),
        ({"name": "a" * 41}, "name must be"),
        ({"classes": ("all",)}, "there must be from 2 to 65536 classes, not 1"),
        ({"classes": ("ant", "bee", "ant")}, "two classes are named 'ant'"),
        ({"classes": ("ant", "", "cow")}, "classes must be a tuple of names"),
        ({"classes": ("ant", "bee")}, "the train labels must be from 0 to 1, the last class, not 2"),
    ],
)
def test_bad_names_are_refused(changes: dict[str, Any], message: str) -> None:
    fields = {"name": "own", "classes": CLASSES, "train": split(6), "validation": split(6), "test": split(6)}
    Dataset(**fields)
    with pytest.raises(DataError, match=message):
        Dataset(**{**fields, **changes})


@given(count=st.integers(10, 60), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["u1", "i8", "u8", ">i2"]))
def test_arrays_are_split_as_the_reports_are(count: int, seed: int, dtype: str) -> None:
    images, labels = arrays(count)
    test = arrays(7, seed=1)
    dataset = Dataset.from_arrays("own", (images, labels.astype(dtype)), test, CLASSES, seed=seed)
    for part, indices in zip((dataset.train, dataset.validation), original_split(count, seed), strict=True):
        np.testing.assert_array_equal(part.images, images[indices])
        np.testing.assert_array_equal(part.labels, labels[indices])
        assert part.labels.dtype == np.int32
    np.testing.assert_array_equal(dataset.test.images, test[0])
    np.testing.assert_array_equal(dataset.test.labels, test[1])
    assert (dataset.name, dataset.classes) == ("own", CLASSES)


def test_limit_keeps_the_first_training_images() -> None:
    full, limited = (Dataset.from_arrays("own", arrays(50), arrays(5), limit=limit) for limit in (None, 20))
    np.testing.assert_array_equal(limited.train.images, full.train.images[:20])
    np.testing.assert_array_equal(limited.validation.images, full.validation.images)


def test_the_digest_is_that_of_images_labels_and_split() -> None:
    images, labels = arrays(50)
    brighter, swapped = images.copy(), labels.copy()
    brighter[3, 2, 1, 0] ^= 1
    swapped[3] = (swapped[3] + 1) % 3
    test = arrays(6)

    def digest(images: np.ndarray, labels: np.ndarray, test: Any = test, **options: int) -> str:
        return Dataset.from_arrays("own", (images, labels), test, CLASSES, **options).digest

    digests = [
        digest(images, labels),
        digest(brighter, labels),
        digest(images, swapped),
        digest(images, labels, arrays(6, seed=9)),
        digest(images, labels, seed=1),
        digest(images, labels, limit=20),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(images.copy(), labels.astype(np.uint8)) == digests[0]
    assert all(len(value) == 16 for value in digests)


def test_classes_without_names_are_numbered() -> None:
    dataset = Dataset.from_arrays("own", arrays(40, 12), arrays(12, 12))
    assert dataset.classes == tuple(map(str, range(12)))


@pytest.mark.parametrize(
    ("train", "test", "options", "message"),
    [
        (arrays(9), arrays(5), {}, "own has 9 training images: at least 10 are needed"),
        (arrays(20), (IMAGES / 255, LABELS), {}, "the test images must be a uint8 array .*, not float64"),
        (arrays(20), arrays(0), {}, "the test split is empty"),
        ((arrays(20)[0], np.ones(20)), arrays(5), {}, "the train labels must be an int32 array .*, not float64"),
        ((arrays(20)[0], np.full(20, 2**32 + 1)), arrays(5), {}, "the train labels must be .*, not int64"),
        ((arrays(20)[0], np.full(20, 10**6)), arrays(5), {}, "labels must be from 0 to 65535, .*, not 1000000"),
        ((arrays(20)[0], arrays(20)[1] + 1), arrays(5), {}, "no training image has the label 0; number the classes"),
        (arrays(20), arrays(8, 4), {}, "no training image has the label 3"),
        (arrays(20), arrays(8, 4), {"classes": CLASSES}, "the test labels must be from 0 to 2, .*, not 3"),
        (arrays(20, 1), arrays(8, 1), {}, "there must be from 2 to 65536 classes, not 1"),
        ((arrays(20)[0], [[0], [1, 2]]), arrays(5), {}, "train must be a pair of arrays, images and labels"),
        (arrays(20), arrays(5), {"limit": 19}, "limit 19 is out of range: own has 18 training images"),
        (arrays(20), arrays(5), {"seed": -1}, "seed -1 cannot draw the validation images"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(train: Any, test: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Dataset.from_arrays("own", train, test, **options)
    assert "\n" not in str(caught.value)
