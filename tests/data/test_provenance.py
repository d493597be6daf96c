"""The description of where a data set's images come from."""

import io
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from cnn3 import DataError
from cnn3.data.cifar import image_encoding
from cnn3.data.loading import describe_source
from cnn3.data.paths import VERSION


def prepared(root: Path, content: bytes) -> Path:
    """Write one record, as TFDS frames it: an image among other fields."""
    folder = root / "cifar10" / VERSION
    folder.mkdir(parents=True)
    writer = ArrayRecordWriter(str(folder / "cifar10-test.array_record-00000-of-00001"), "group_size:1")
    writer.write(b"\n\x05label\x12\x05\x1a\x03\n\x01\x05image" + content)
    writer.close()
    return root


def image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)).save(buffer, kind)
    return buffer.getvalue()


def test_png_and_jpeg_are_distinguished(tmp_path):
    png, jpeg = prepared(tmp_path / "png", image("PNG")), prepared(tmp_path / "jpeg", image("JPEG"))
    assert (image_encoding("cifar10", png), image_encoding("cifar10", jpeg)) == ("PNG", "JPEG")
    assert (
        describe_source("cifar10", png) == f"Its images are those of TensorFlow Datasets {VERSION}, kept without loss."
    )
    assert describe_source("cifar10", jpeg).startswith("Its images passed through JPEG once")


def test_records_that_are_neither_or_not_there_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"neither PNG nor JPEG: remove it"):
        image_encoding("cifar10", prepared(tmp_path / "gif", image("GIF")))
    with pytest.raises(DataError, match=r"there are no test records in .* --data-dir"):
        image_encoding("cifar10", tmp_path / "nothing")


def test_digits_say_that_they_were_enlarged():
    assert describe_source("digits") == "Its images are scikit-learn's 1,797 digits of 8x8 pixels, enlarged to 32x32."
