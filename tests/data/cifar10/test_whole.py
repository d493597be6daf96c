"""The whole of CIFAR-10, as TFDS has it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

import cnn3
from cnn3.data import cifar_tfds
from cnn3.data.dataset import CIFAR10_CLASSES, Dataset, Split
from tests.data.cifar10.archive import folder_in, make_archive, put_by_hand, register
from tests.helpers.original_split import original_split

pytestmark = pytest.mark.whole


def test_cifar10_is_tfdss(whole: Dataset, tfds_dir: Path) -> None:
    train, validation = original_split(50_000, 3136)
    sources: Any = tfds.data_source("cifar10", data_dir=tfds_dir, builder_kwargs={"file_format": "array_record"})
    wanted = {"train": ("train", train), "validation": ("train", validation), "test": ("test", list(range(10_000)))}
    for name, (source, indices) in wanted.items():
        part = getattr(whole, name)
        assert (part.images.dtype, part.labels.dtype) == (np.uint8, np.int32)
        assert part.images.shape == (len(indices), 32, 32, 3)
        assert part.labels.shape == (len(indices),)
        for i in np.random.default_rng(0).choice(len(indices), 50, replace=False):
            row = sources[source][indices[i]]
            np.testing.assert_array_equal(part.images[i], row["image"])
            assert part.labels[i] == row["label"]


def test_cifar10_has_all_images_of_all_classes(whole: Dataset, tfds_dir: Path) -> None:
    trained_on = np.concatenate([whole.train.labels, whole.validation.labels])
    assert np.bincount(trained_on).tolist() == [5000] * 10
    assert np.bincount(whole.test.labels).tolist() == [1000] * 10
    names = (folder_in(tfds_dir) / "label.labels.txt").read_text().split()
    short = {"airplane": "plane", "automobile": "car"}
    assert whole.classes == CIFAR10_CLASSES == tuple(short.get(name, name) for name in names)


def test_the_weights_that_come_with_cnn3_are_as_good_as_their_card_says(whole: Dataset) -> None:
    model, weights, classes = cnn3.pretrained()
    assert classes == whole.classes
    parts = [cnn3.predict(model, 500, weights, part).logits.argmax(-1) for part in np.split(whole.test.images, 20)]
    right = int(np.sum(np.concatenate(parts) == whole.test.labels))
    assert abs(right - 8275) <= 3  # of 10,000; another machine rounds otherwise


def test_prepared_records_are_as_tfds_prepares_them(
    tfds_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first images of CIFAR-10, prepared here, have the ids, and the order, of the prepared data set."""

    def rows(root: Path, part: str) -> list[tuple[bytes, int, bytes]]:
        only_bytes: Any = {"image": tfds.decode.SkipDecoding()}
        kwargs = {"file_format": "array_record"}
        source: Any = tfds.data_source("cifar10", split=part, data_dir=root, decoders=only_bytes, builder_kwargs=kwargs)
        return [(row["id"], row["label"], row["image"]) for row in source.__getitems__(range(len(source)))]

    def pixels(encoded: bytes) -> np.ndarray:
        return np.asarray(cifar_tfds.Image.open(io.BytesIO(encoded)))

    first = [row for row in rows(tfds_dir, "test") if row[0] < b"test_00200"]
    by_id = sorted(first)
    part = Split(np.stack([pixels(row[2]) for row in by_id]), np.array([row[1] for row in by_id], np.int32))
    archive = make_archive(part, part)
    register(monkeypatch, archive)
    put_by_hand(tmp_path, archive)
    cifar_tfds.prepare("cifar10", tmp_path, folder_in(tmp_path))
    actual = rows(tmp_path, "test")
    assert [row[:2] for row in actual] == [row[:2] for row in first]
    assert all(np.array_equal(pixels(a[2]), pixels(b[2])) for a, b in zip(actual, first, strict=True))
    assert sorted(row[0].decode() for row in rows(tmp_path, "train")) == [f"train_{i:05d}" for i in range(200)]
    names = "label.labels.txt"
    assert (folder_in(tmp_path) / names).read_text() == (folder_in(tfds_dir) / names).read_text()
