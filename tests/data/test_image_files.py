"""Pictures of any kind as the network takes them."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnn3
from cnn3.data.image_files import ImageError, read_image


@pytest.fixture(scope="module")
def digits() -> cnn3.Dataset:
    return cnn3.load("digits")


@pytest.fixture
def picture(tmp_path, digits) -> Path:
    path = tmp_path / "digit.png"
    Image.fromarray(digits.test.images[0]).save(path)
    return path


def test_an_image_of_32x32_stays_as_it_is(digits, picture):
    assert np.array_equal(read_image(picture), digits.test.images[0])


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (33, 31), (640, 427), (427, 640)])
def test_the_square_in_the_centre_is_resized(size, tmp_path):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8))
    image.save(tmp_path / "a.png")
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    pixels = np.asarray(image)[top : top + side, left : left + side]
    expected = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)


def test_a_large_image_is_averaged_not_sampled(tmp_path):
    stripes = np.zeros((320, 320), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png").astype(int) - 127.5).max() < 4


@pytest.mark.parametrize("kind", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp", "a.tiff", "a.ppm"])
def test_common_formats_show_the_same_picture(kind, tmp_path):
    ramp = np.linspace(20, 230, 64, dtype=np.uint8)
    grey = np.repeat(np.tile(ramp, (64, 1))[..., None], 3, -1)
    Image.fromarray(grey).save(tmp_path / kind)
    expected = np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(read_image(tmp_path / kind).astype(int) - expected).max() <= 4


def flat(mode: str, value, **saving) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (40, 40), value).save(buffer, saving.pop("format", "png"), **saving)
    return buffer.getvalue()


MODES = {
    "grey": (flat("L", 200), (200, 200, 200)),
    "bilevel": (flat("1", 1), (255, 255, 255)),
    "opaque alpha": (flat("RGBA", (10, 20, 30, 255)), (10, 20, 30)),
    "half transparent": (flat("RGBA", (0, 0, 0, 128)), (127, 127, 127)),
    "transparent": (flat("RGBA", (10, 20, 30, 0)), (255, 255, 255)),
    "transparent grey": (flat("LA", (10, 0)), (255, 255, 255)),
    "transparent palette": (flat("P", 0, transparency=0), (255, 255, 255)),
    "transparent colour": (flat("RGB", (1, 2, 3), transparency=(1, 2, 3)), (255, 255, 255)),
    "16 bits, dark": (flat("I;16", 257 * 40), (40, 40, 40)),
    "16 bits, bright": (flat("I;16", 65535), (255, 255, 255)),
    "16 bits, TIFF": (flat("I;16", 257 * 99, format="tiff"), (99, 99, 99)),
    "16 bits, PGM": (flat("I;16", 257 * 99, format="ppm"), (99, 99, 99)),
    "CMYK": (flat("CMYK", (0, 0, 0, 0), format="tiff"), (255, 255, 255)),
}


@pytest.mark.parametrize(("content", "color"), MODES.values(), ids=MODES)
def test_pixels_of_any_kind_become_red_green_and_blue(content, color, tmp_path):
    (tmp_path / "a").write_bytes(content)
    image = read_image(tmp_path / "a")
    assert image.shape == (32, 32, 3)
    assert {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()} == {color}


@pytest.mark.parametrize("bits", [8, 16])
def test_an_image_is_turned_as_its_exif_says(bits, tmp_path):
    upright = np.zeros((32, 32), np.uint8 if bits == 8 else np.uint16)
    upright[:16] = 2**bits - 1  # bright above
    lying = np.rot90(upright)  # a quarter counterclockwise; 6 says: turn it clockwise to see it
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(lying)).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert (image[:16] == 255).all()
    assert (image[16:] == 0).all()


def test_the_first_of_several_frames_is_used(tmp_path):
    frames = [Image.new("L", (32, 32), value) for value in (50, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert np.abs(read_image(tmp_path / "a.gif").astype(int) - 50).max() <= 4


def test_images_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "deep.tiff").write_bytes(flat("F", 0.5, format="tiff"))
    (tmp_path / "large.png").write_bytes(flat("L", 0))
    for name, message in {
        "missing.png": "there is no file",
        ".": "is a folder; name the image files in it",
        "text.png": "is not an image",
        "empty.png": "is not an image",
        "deep.tiff": "pixels of type F; save it with 8 or 16 bits",
    }.items():
        with pytest.raises(ImageError, match=message):
            read_image(tmp_path / name)
    for address in ("https://example.org/cat.png", Path("http://example.org/cat.png")):
        with pytest.raises(ImageError, match="is an address, not a file; download the image first"):
            read_image(address)
    for max_pixels in (1599, 799):  # Pillow warns of more, and refuses more than twice as many
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", max_pixels)
        with pytest.raises(ImageError, match=rf"large\.png has more than {max_pixels} pixels; make it smaller"):
            read_image(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1600)
    assert (read_image(tmp_path / "large.png") == 0).all()


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "tiff", "webp"])
def test_damaged_images_never_crash(kind, tmp_path, digits):
    buffer = io.BytesIO()
    Image.fromarray(digits.test.images[0]).resize((80, 80)).save(buffer, kind)
    intact = buffer.getvalue()
    path = tmp_path / "a"
    path.write_bytes(intact[: len(intact) // 2])
    with pytest.raises(ImageError, match=r"damaged or cut off|not an image"):
        read_image(path)
    rng = np.random.default_rng(1)
    for _ in range(200):
        content = bytearray(intact[: rng.integers(1, len(intact) + 1)])
        for position in rng.integers(0, len(content), 4):
            content[position] = rng.integers(256)
        path.write_bytes(content)
        with suppress(ImageError):
            assert read_image(path).shape == (32, 32, 3)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n0 0 40 40 rectfill\nshowpage\n%%EOF\n"


def test_only_formats_of_pixels_are_read(tmp_path, monkeypatch):
    """PostScript is a program, for which Pillow would start Ghostscript."""
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    with Image.open(tmp_path / "a.png") as opened:  # Pillow takes it
        assert opened.format == "EPS"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "ICO")
    (tmp_path / "b.png").write_bytes(buffer.getvalue())
    for name in ("a.png", "b.png"):
        with pytest.raises(ImageError, match=rf"{name} is not an image of a format that can be read \(PNG, JPEG,"):
            read_image(tmp_path / name)
