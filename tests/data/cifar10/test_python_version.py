"""The python version of CIFAR, as torchvision leaves it, in place of the binary one."""

import hashlib
import io
import os
import pickle
import shutil
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from cnn3 import DataError, load
from cnn3.data import cifar, cifar_python
from cnn3.data.cifar_python import VERSIONS
from cnn3.data.dataset import Split
from tests.data.cifar10.archive import CLOSED, TOTAL, files_in, one_line, put_by_hand, register, same

NAMES = [b"airplane", b"automobile", b"bird", b"cat", b"deer", b"dog", b"frog", b"horse", b"ship", b"truck"]


PurePickler: Any = vars(pickle)["_Pickler"]  # the pickler in Python, which typeshed does not know


class Python2Pickler(PurePickler):
    """A pickler that writes strings as Python 2 did, in which the real batches were pickled."""

    dispatch: ClassVar[Any] = dict(PurePickler.dispatch)

    def save_string(self, value: bytes | str) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def dumps(value: object) -> bytes:
    """Return what Python 2 and the NumPy of its time would have pickled."""
    pickled = io.BytesIO()
    Python2Pickler(pickled, protocol=2).dump(value)
    return pickled.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def planes(split: Split) -> np.ndarray:
    return split.images.transpose(0, 3, 1, 2).reshape(len(split.labels), -1)


@pytest.fixture
def batches(images: dict[str, Split]) -> dict[str, bytes]:
    """The files of `images` in the python version of CIFAR-10."""
    train, test = images["train"], images["test"]
    parts = np.array_split(np.arange(len(train.labels)), 5)
    splits = {f"data_batch_{i}": Split(*(a[part] for a in train)) for i, part in enumerate(parts, 1)}
    return {
        name: dumps({b"data": planes(split), b"labels": split.labels.tolist(), b"batch_label": name.encode()})
        for name, split in {**splits, "test_batch": test}.items()
    } | {"batches.meta": dumps({b"label_names": NAMES, b"num_vis": 3072})}


def trust(patch: pytest.MonkeyPatch, name: str, files: Mapping[str, bytes]) -> None:
    """Have these files taken for the real ones."""
    md5 = {file: hashlib.md5(files[file]).hexdigest() for file in VERSIONS[name].md5}
    patch.setattr(cifar_python, "VERSIONS", {**VERSIONS, name: VERSIONS[name]._replace(md5=md5)})
    patch.setattr(cifar, "IMAGES", TOTAL)


def write_folder(root: Path, name: str, files: Mapping[str, bytes]) -> Path:
    folder = root / VERSIONS[name].folder
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def write_archive(path: Path, name: str, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for file, content in files.items():
            member = tarfile.TarInfo(f"{VERSIONS[name].folder}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", CLOSED)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "place", ["cifar-10-batches-py", "cifar-10-python.tar.gz", "downloads/manual/cifar-10-python.tar.gz"]
)
def test_it_gives_the_same_data_set_as_the_binary_version(
    place: str, batches: dict[str, bytes], images: dict[str, Split], archive: bytes, tmp_path: Path
) -> None:
    root, other = tmp_path / "python", tmp_path / "binary"
    if place.endswith(".gz"):
        write_archive(root / place, "cifar10", batches)
    else:
        write_folder(root, "cifar10", batches)
    with pytest.MonkeyPatch.context() as patch:
        trust(patch, "cifar10", batches)
        dataset = load("cifar10", root)
    assert same(dataset, images)
    with pytest.MonkeyPatch.context() as patch:
        register(patch, archive)
        put_by_hand(other, archive)
        assert load("cifar10", other).digest == dataset.digest  # also in the order of its images


def test_cifar100_has_both_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    files: dict[str, bytes] = {}
    fine: dict[bytes, int] = {}
    for part, count in TOTAL.items():
        images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        labels = (np.arange(count) % 100).tolist()
        fine |= {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
        split = Split(images, np.array(labels, np.int32))
        files[part] = dumps({b"fine_labels": labels, b"coarse_labels": [19] * count, b"data": planes(split)})
    names = {
        b"fine_label_names": [b"f%d" % i for i in range(100)],
        b"coarse_label_names": [b"c%d" % i for i in range(20)],
    }
    write_folder(tmp_path, "cifar100", {**files, "meta": dumps(names)})
    trust(monkeypatch, "cifar100", {**files, "meta": dumps(names)})
    dataset = load("cifar100", tmp_path)
    for split in (dataset.train, dataset.validation, dataset.test):
        assert split.labels.tolist() == [fine[image.tobytes()] for image in split.images]


class Dangerous:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_would_run_something_is_refused(
    batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = tmp_path / "touched"
    arrays = {"objects": np.array([None]), "floats": np.zeros(3)}
    for content in (dumps(Dangerous(touched)), *map(dumps, arrays.values())):
        root = tmp_path / "data"
        files = {**batches, "data_batch_2": content}
        folder = write_folder(root, "cifar10", files)
        with monkeypatch.context() as patch:
            trust(patch, "cifar10", files)
            with pytest.raises(DataError, match=r"data_batch_2 is damaged or another file \(it holds ") as caught:
                load("cifar10", root)
        one_line(caught)
        assert not touched.exists()
        assert files_in(root) == sorted([folder.name, *(f"{folder.name}/{name}" for name in files)])
        shutil.rmtree(root)
    pickle.loads(pickle.dumps(Dangerous(touched)))
    assert touched.exists()  # it would have


@pytest.mark.parametrize("kind", ["flipped", "missing", "cut", "other archive"])
def test_damage_is_named(kind: str, batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, "cifar10", batches)
    archive = tmp_path / "cifar-10-python.tar.gz"
    if kind == "flipped":
        folder = write_folder(tmp_path, "cifar10", {**batches, "test_batch": batches["test_batch"][:-5] + b"\0\0\0\0."})
        path, message = folder / "test_batch", "its MD5 is [0-9a-f]{32}, not "
    elif kind == "missing":
        folder = write_folder(tmp_path, "cifar10", {n: c for n, c in batches.items() if n != "batches.meta"})
        path, message = folder / "batches.meta", "No such file"
    elif kind == "cut":
        path, message = write_archive(archive, "cifar10", batches), ""
        path.write_bytes(path.read_bytes()[:20_000])
    else:
        path, message = write_archive(archive, "cifar10", {"readme.html": b""}), "data_batch_1.*not found"
    with pytest.raises(
        DataError, match=rf"{path} is damaged or another file \(.*{message}.*name another folder"
    ) as caught:
        load("cifar10", tmp_path)
    one_line(caught)
    assert not (tmp_path / "cifar10").exists()


@pytest.mark.usefixtures("offline")
def test_every_place_is_named_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("cifar10", tmp_path)
    for place in (
        f"put cifar-10-binary.tar.gz in {tmp_path}/downloads/manual",
        f"{tmp_path}/cifar-10-batches-py or {tmp_path}/cifar-10-python.tar.gz",
        f"{tmp_path}/downloads/manual/cifar-10-python.tar.gz",
    ):
        assert place in one_line(caught)
