"""CIFAR-100, whose records have two labels, prepared from an archive like its own."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import Size

from cnn3 import DataError, load
from cnn3.data import cifar, cifar_tfds
from cnn3.data.cifar100_classes import CIFAR100_CLASSES
from cnn3.data.loading import class_names, dataset_digest, describe_source
from tests.helpers.original_split import original_split

URL = "http://127.0.0.1:9/cifar-100-binary.tar.gz"  # nothing listens on the discard port
COARSE = [f"coarse{i}" for i in range(20)]
TOTAL = {"train": 200, "test": 100}


def make_rows(part: str) -> dict[str, np.ndarray]:
    """Return random images, each fine label equally often, and coarse labels that do not follow from them."""
    rng = np.random.default_rng(len(part))
    count = TOTAL[part]
    return {
        "coarse": rng.integers(0, 20, count, np.uint8),
        "fine": rng.permutation(np.arange(count) % 100).astype(np.uint8),
        "images": rng.integers(0, 256, (count, 32, 32, 3), np.uint8),
    }


@pytest.fixture(scope="session")
def rows() -> dict[str, dict[str, np.ndarray]]:
    return {part: make_rows(part) for part in TOTAL}


@pytest.fixture
def root(rows: dict[str, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TFDS's folder with an archive of these images, which TFDS takes for CIFAR-100's."""
    names = {"coarse_label_names": COARSE, "fine_label_names": CIFAR100_CLASSES}
    content = {f"{file}.txt": "".join(f"{name}\n" for name in lines).encode() for file, lines in names.items()}
    for part, row in rows.items():
        planes = row["images"].transpose(0, 3, 1, 2).reshape(len(row["fine"]), -1)
        content[f"{part}.bin"] = np.column_stack([row["coarse"], row["fine"], planes]).tobytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for file, data in content.items():
            member = tarfile.TarInfo(f"cifar-100-binary/{file}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    path = tmp_path / "data" / "downloads" / "manual" / "cifar-100-binary.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(packed.getvalue())
    real: Any = cifar_tfds.Cifar100._cifar_info.fget
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    info = cifar_tfds.checksums.UrlInfo(Size(len(packed.getvalue())), digest, path.name)
    monkeypatch.setattr(cifar_tfds.checksums, "get_all_url_infos", lambda: {URL: info})
    monkeypatch.setattr(cifar_tfds.Cifar100, "_cifar_info", property(lambda self: real(self)._replace(url=URL)))
    monkeypatch.setattr(cifar, "IMAGES", TOTAL)
    return tmp_path / "data"


def test_its_labels_are_the_fine_ones(root: Path, rows: dict[str, dict[str, np.ndarray]]) -> None:
    dataset = load("cifar100", root)
    assert (dataset.name, dataset.classes) == ("cifar100", CIFAR100_CLASSES)
    pairs = {
        part: {image.tobytes(): label for image, label in zip(row["images"], row["fine"], strict=True)}
        for part, row in rows.items()
    }
    for split, part in ((dataset.train, "train"), (dataset.validation, "train"), (dataset.test, "test")):
        assert split.labels.tolist() == [pairs[part][image.tobytes()] for image in split.images]
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [180, 20, 100]


def test_its_records_are_those_of_tfds(root: Path, rows: dict[str, dict[str, np.ndarray]]) -> None:
    dataset = load("cifar100", root)
    kwargs = {"file_format": "array_record"}
    source: Any = tfds.data_source("cifar100", split="train", data_dir=root, builder_kwargs=kwargs)
    records = [source[i] for i in range(len(source))]
    expected = rows["train"]
    for record in records:
        index = int(record["id"].removeprefix(b"train_"))
        assert (record["label"], record["coarse_label"]) == (expected["fine"][index], expected["coarse"][index])
        np.testing.assert_array_equal(record["image"], expected["images"][index])
    train, _ = original_split(200, 3136)
    np.testing.assert_array_equal(dataset.train.images, [records[i]["image"] for i in train])
    features: Any = tfds.builder("cifar100", data_dir=root, file_format="array_record").info.features
    assert (features["label"].names, features["coarse_label"].names) == (list(CIFAR100_CLASSES), COARSE)


def test_what_is_known_of_it_without_reading_it(root: Path) -> None:
    assert class_names("cifar100") == CIFAR100_CLASSES
    assert dataset_digest("cifar100", root, seed=1, limit=50) is None
    digest = load("cifar100", root, seed=1, limit=50).digest
    assert dataset_digest("cifar100", root, seed=1, limit=50) == digest
    assert "TensorFlow Datasets 3.0.2, kept without loss" in describe_source("cifar100", root)


def test_missing_images_are_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "IMAGES", {**TOTAL, "test": 10_000})
    with pytest.raises(DataError, match=r"the test set should have 100 images of each class, but has \{0: 1, 1: 1"):
        load("cifar100", root)


def test_without_a_network_its_archive_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", URL)
    with pytest.raises(DataError) as caught:
        load("cifar100", tmp_path)
    message = str(caught.value)
    assert message.startswith(f"cifar100 is not prepared in {tmp_path}, and https://www.cs.toronto.edu/~kriz/cifar-100")
    assert f"put cifar-100-binary.tar.gz in {tmp_path}/downloads/manual" in message
