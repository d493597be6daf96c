"""Data of one's own in files: .npz files and folders of class folders."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnn3 import DataError, load
from cnn3.data import image_folder
from cnn3.data.loading import class_names, dataset_name, describe_source
from tests.data.cifar10.archive import file_size_limit, warnings_in
from tests.helpers.original_split import original_split

CLASSES = ["Ärger", "bee", "cow \x1b[31m"]


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))


def arrays(**changes: Any) -> dict[str, Any]:
    """Return the arrays of a .npz file, with some changed; None leaves one out."""
    rng = np.random.default_rng(0)
    sound = {
        "train_images": rng.integers(0, 256, (30, 32, 32, 3), np.uint8),
        "train_labels": rng.permutation(np.arange(30) % 3),
        "test_images": rng.integers(0, 256, (6, 32, 32, 3), np.uint8),
        "test_labels": np.arange(6, dtype=np.uint8) % 3,
        "classes": np.array(CLASSES),
    }
    return {name: array for name, array in {**sound, **changes}.items() if array is not None}


def save(path: Path, **changes: Any) -> Path:
    np.savez_compressed(path, **arrays(**changes))
    return path


# --- .npz files


@pytest.mark.parametrize("by", [str, Path])
def test_an_npz_file_has_what_numpy_saved(by: type, tmp_path: Path) -> None:
    saved = arrays()
    dataset = load(by(save(tmp_path / "My-Flowers 2.npz")), seed=5)
    train, validation = original_split(30, 5)
    for part, images, labels, indices in [
        (dataset.train, saved["train_images"], saved["train_labels"], train),
        (dataset.validation, saved["train_images"], saved["train_labels"], validation),
        (dataset.test, saved["test_images"], saved["test_labels"], range(6)),
    ]:
        np.testing.assert_array_equal(part.images, images[list(indices)])
        np.testing.assert_array_equal(part.labels, labels[list(indices)])
    assert (dataset.name, dataset.classes) == ("my_flowers_2", tuple(CLASSES))


def test_classes_of_an_npz_file_need_no_names(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", classes=None)
    assert load(path).classes == class_names(path) == ("0", "1", "2")


BAD_NPZ: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"test_labels": None}, "lacks test_labels: save train_images, train_labels"),
    "unknown": ({"val_images": np.zeros(3)}, "has the unknown val_images: save train_images"),
    "shape": (
        {"test_images": np.zeros((6, 28, 28), np.uint8)},
        r": the test images .* not uint8 of shape \(6, 28, 28",
    ),
    "type": ({"train_images": np.zeros((30, 32, 32, 3))}, ": the train images must be a uint8 array"),
    "columns": ({"train_labels": np.zeros((30, 1), int)}, r": the train labels .* not int32 of shape \(30, 1\)"),
    "outside": ({"classes": np.array(CLASSES[:2])}, ": the train labels must be from 0 to 1"),
    "numbers": ({"classes": np.arange(3)}, ": classes must be an array of strings"),
    "pickled": ({"classes": np.array(CLASSES, object)}, r"holds pickled objects, which could run any code\): save"),
    "few": ({"train_images": np.zeros((9, 32, 32, 3), np.uint8), "train_labels": np.arange(9) % 3}, "at least 10"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_NPZ.values(), ids=BAD_NPZ)
def test_an_npz_file_that_does_not_fit_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz", **changes)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert "own" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    path, array = tmp_path / "own.npz", tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    save(path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    zipped = tmp_path / "zipped"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("train_images.npy", "no array")
    for damaged, message in [
        (b"", "cannot read .*own.npz"),
        (b"text", "cannot read .*own.npz .*pickled objects"),
        (content[:1000], "own.npz is not a .npz file, or is damaged"),
        (bytes(flipped), "own.npz is not a .npz file, or is damaged|cannot read .*own.npz"),
        (array.read_bytes(), "own.npz holds one array"),
        (zipped.read_bytes(), "own.npz .train_images is no array"),
    ]:
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=message) as caught:
            load(path)
        assert "\n" not in str(caught.value)


# --- folders of class folders


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Photos of several sizes and formats in the layout of torchvision's ImageFolder."""
    rng = np.random.default_rng(1)
    folder = tmp_path / "Pets"
    for part, count in {"train": 7, "test": 2}.items():
        for name in ("dog", "cat", "Zebra"):
            (folder / part / name / "more").mkdir(parents=True)
            for i in range(count):
                size = (32, 32) if i % 2 else (50 + i, 41)
                picture = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
                place = folder / part / name / ("more" if i == 1 else "")
                picture.save(place / f"{i}.{'PNG' if i % 2 else 'bmp'}")
        (folder / part / ".hidden").mkdir()
        (folder / part / "cat" / "notes.txt").write_text("no picture")
        (folder / part / "cat" / "._0.png").write_text("what macOS leaves")
        (folder / part / "cat" / ".ipynb_checkpoints").mkdir()
        (folder / part / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png").write_text("what Jupyter leaves")
    return folder


def square(path: Path) -> np.ndarray:
    """Return the square in the centre, resized by Pillow."""
    image = Image.open(path)
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.crop(box).resize((32, 32), Image.Resampling.BILINEAR))


def expected(folder: Path) -> tuple[np.ndarray, list[int]]:
    """Return the images and labels of a part, in the order of torchvision's ImageFolder."""
    names = [f"{i}.{'PNG' if i % 2 else 'bmp'}" for i in (0, *range(2, 7))]
    paths, labels = [], []
    for label, name in enumerate(["Zebra", "cat", "dog"]):
        own = [folder / name / file for file in names if (folder / name / file).exists()]
        own.append(folder / name / "more" / "1.PNG")
        paths += own
        labels += [label] * len(own)
    return np.stack([square(path) for path in paths]), labels


def test_a_folder_has_the_squares_of_its_images(pictures: Path) -> None:
    dataset = load(pictures)
    assert (dataset.name, dataset.classes) == ("pets", ("Zebra", "cat", "dog"))
    assert class_names(pictures) == dataset.classes
    images, labels = expected(pictures / "train")
    assert len(labels) == 21
    for part, indices in zip((dataset.train, dataset.validation), original_split(21, 3136), strict=True):
        np.testing.assert_array_equal(part.images, images[indices])
        assert part.labels.tolist() == [labels[i] for i in indices]
    images, labels = expected(pictures / "test")
    np.testing.assert_array_equal(dataset.test.images, images)
    assert dataset.test.labels.tolist() == labels


def test_links_to_images_and_to_folders_of_images_are_followed(pictures: Path, tmp_path: Path) -> None:
    before = load(pictures)
    (pictures / "test" / "cat").rename(tmp_path / "cats")
    (pictures / "test" / "cat").mkdir()
    (pictures / "test" / "cat" / "more").symlink_to(tmp_path / "cats")
    after = load(pictures)
    assert after.test.labels.tolist() == before.test.labels.tolist()
    np.testing.assert_array_equal(after.test.images, before.test.images)


def test_decoded_images_are_cached_until_a_file_changes(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(pictures)
    with monkeypatch.context() as patch:
        patch.setattr("cnn3.data.image_files.read_image", None)
        again = load(str(pictures))
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert first.digest == again.digest
    path = pictures / "test" / "dog" / "0.bmp"
    black = Image.new("RGB", (50, 41))
    black.save(path)
    os.utime(path, ns=(0, 1))
    changed = load(pictures)
    assert (changed.test.images[4] == 0).all()
    assert changed.digest != first.digest
    monkeypatch.setattr(image_folder, "PREPROCESSING", image_folder.PREPROCESSING + 1)
    monkeypatch.setattr("cnn3.data.image_files.read_image", lambda path: np.full((32, 32, 3), 7, np.uint8))
    assert (load(pictures).train.images == 7).all()


def test_a_cache_that_cannot_be_written_is_warned_of(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    with file_size_limit(10_000):
        assert len(load(pictures).test.labels) == 6
    (warning,) = warnings_in(caplog)
    assert warning.startswith("the decoded images are not cached")


def remove_part(folder: Path) -> None:
    shutil.rmtree(folder / "test")


def make_part_flat(folder: Path) -> None:
    for name in ("dog", "cat", "Zebra"):
        shutil.rmtree(folder / "train" / name)


def remove_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "train" / "cat")


def empty_a_class(folder: Path) -> None:
    for path in (folder / "train" / "cat").rglob("[!.]*.*"):
        path.unlink()


def damage_an_image(folder: Path) -> None:
    (folder / "train" / "cat" / "0.bmp").write_text("no image")


def leave_one_class(folder: Path) -> None:
    for part in ("train", "test"):
        for name in ("dog", "Zebra"):
            shutil.rmtree(folder / part / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_part, "Pets has no folder test: class folders belong in train and test"),
        (make_part_flat, "Pets/train has no class folders"),
        (remove_a_class, "Pets/test has the class 'cat', but .*Pets/train has not"),
        (empty_a_class, "Pets/train/cat has no image file that ends with one of .png, .jpg"),
        (damage_an_image, "Pets/train/cat/0.bmp is not an image"),
        (leave_one_class, "Pets: there must be from 2 to 65536 classes, not 1"),
    ],
)
def test_a_folder_of_another_layout_is_refused(change: Any, message: str, pictures: Path) -> None:
    change(pictures)
    with pytest.raises(DataError, match=message) as caught:
        load(pictures)
    assert "\n" not in str(caught.value)


# --- names


def test_a_path_that_is_no_data_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table.csv").touch()
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "数据.npz").touch()
    monkeypatch.chdir(tmp_path)
    for name, message in {
        "flowers": "there is no data set or file 'flowers': choose one of cifar10, cifar100, digits, or name a .npz",
        "flowers.npz": "there is no data set or file 'flowers.npz'",
        "table.csv": "table.csv is neither a .npz file or a folder",
        "s3://bucket/a.npz": "is an address",
        "数据.npz": "cannot give its name to a data set .it has no letter or digit.; rename it",
        "./cifar10": "the name of a data set that cnn3 knows: cifar10.; rename it, for example",
    }.items():
        for function in (load, dataset_name):
            with pytest.raises(DataError, match=message):
                function(name)


def test_names_are_made_to_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"a.b-C.npz": "a_b_c", "_x_.NPZ": "x", f"{'long' * 20}.npz": "long" * 10, "CIFAR 10.npz": "cifar_10"}
    for file in names:
        (tmp_path / file).touch()
    assert {file: dataset_name(tmp_path / file) for file in names} == names
    (tmp_path / "Own.v2").mkdir()
    monkeypatch.chdir(tmp_path / "Own.v2")
    assert dataset_name(".") == dataset_name(f"{tmp_path}/Own.v2/") == "own_v2"
    assert [dataset_name(name) for name in ("cifar10", "cifar100", "digits")] == ["cifar10", "cifar100", "digits"]


def test_the_source_of_own_images_is_their_path() -> None:
    assert describe_source("data/flowers.npz") == "Its images are those of flowers.npz."
