"""Image files as arrays of the network's input size."""

import re
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from cnn3.training.augment import IMAGE_SIZE

BACKGROUND = "white"  # behind transparent pixels, as on a page
# Of Pillow: formats of pixels, whose decoders are Pillow's own; PostScript, for one, is handed to another program.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# Of Pillow: up to 8 bits a channel.
SUPPORTED_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"})


class ImageError(Exception):
    """A file that cannot be read as an image; the message names it and the remedy."""


def read_image(path: str | Path) -> UInt8[np.ndarray, "32 32 3"]:
    """Return an image file, in one of `FORMATS`, as 32x32 RGB pixels.

    The image is rotated to its EXIF orientation, put on white where it is transparent, cropped to the square in its
    centre, and resized as in the original study, by Pillow's bilinear filter (eval.py, line 21). An image of 32x32
    pixels is not changed. Of several frames the first is used.

    Raises:
        ImageError: the file is missing, not an image, damaged or truncated, or has too many or too deep pixels.
    """
    image = _to_rgb(_decode(path), path)
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    square = image.crop((left, top, left + side, top + side))
    return np.array(square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR))


def _decode(path: str | Path) -> Image.Image:
    """Return the first frame, upright, in its own mode."""
    if not Path(path).is_file():
        raise ImageError(_why_no_file(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata, which are not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                image.load()
                if image.format == "PPM" and image.mode == "I":  # so Pillow decodes 16 bits of grey
                    return Image.fromarray(np.asarray(image).astype(np.uint16))
                return ImageOps.exif_transpose(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"{path} has more than {Image.MAX_IMAGE_PIXELS} pixels; make it smaller first") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image of a format that can be read ({', '.join(FORMATS)})") from None
    except Exception as error:  # Pillow's decoders raise almost anything for damaged files
        reason = getattr(error, "strerror", None) or f"it is damaged or cut off: {error}"
        raise ImageError(f"cannot read {path}: {reason}") from None


def _why_no_file(path: str | Path) -> str:
    if Path(path).is_dir():
        return f"{path} is a folder; name the image files in it"
    if re.match("(https?|ftp):/", str(path)):
        return f"{path} is an address, not a file; download the image first"
    return f"there is no file {path}"


def _to_rgb(image: Image.Image, path: str | Path) -> Image.Image:
    """Return the image with 8 bits a channel and without transparency."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8)).convert("RGB")
    if image.mode not in SUPPORTED_MODES:  # the range of 32-bit pixels is not known
        raise ImageError(f"{path} has pixels of type {image.mode}; save it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
