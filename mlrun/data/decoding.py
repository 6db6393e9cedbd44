"""Image files to pixels, by one rule for training and for prediction; loads no torch."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mlrun.errors import MlrunError, one_line
from mlrun.seam.files import fault_of_file

# goes up when `decode` gives other pixels, so that what was kept of it is made again
DECODING_RULE = 1
LEFT_OUT = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # Pillow has no decoder of its own

Pixels = NDArray[np.uint8]


@functools.cache
def formats() -> tuple[str, ...]:
    """Returns the names of the formats that are read: Pillow's, but those it cannot decode."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in LEFT_OUT)


@functools.cache
def suffixes() -> frozenset[str]:
    """Returns the suffixes of those formats, in small letters, with the dot."""
    extensions = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in extensions if name in (*formats(), "MPO"))


def is_image(path: Path) -> bool:
    """Whether the file's suffix is that of an image; the file is not opened."""
    return path.suffix.lower() in suffixes()


@contextmanager
def quiet_decoding() -> Iterator[None]:
    """Silences Pillow's warnings of odd EXIF data or palettes, which harm no pixel.

    It changes the warnings of the whole process, so it goes around all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(path: Path, *, channels: Literal[1, 3], size: tuple[int, int] | None = None) -> Pixels:
    """Returns an image file as uint8 (C, H, W), 0–255; a NumPy array, so no torch is needed.

    The rule: the first frame, turned as its EXIF orientation says; transparency on white;
    16-bit grey divided by 257 (16-bit colour by Pillow, which takes the high byte); whole
    numbers of 32 bits likewise if they lie in 0–65,535; floats times 255 if they lie in 0–1,
    else rounded if they lie in 0–255. Colour becomes grey as 0.299 R + 0.587 G + 0.114 B. At
    last, if the size differs: scaled, aspect kept and antialiased (bilinear), until it covers
    `size`, and the centre cut out. Pillow may warn of what harms no pixel; see `quiet_decoding`.

    Args:
        path: a file of any format and mode that Pillow decodes itself.
        channels: 1 for grey, 3 for RGB.
        size: (H, W) in pixels; None keeps the image's own.

    Raises:
        MlrunError: the file cannot be read, is a pipe or a device, is cut short, or has more
            pixels than Pillow takes for a decompression bomb (178,956,970); the message names
            the file.
    """
    if fault := fault_of_file(path):
        raise MlrunError(f"cannot read {path}: {fault}")
    try:
        with Image.open(path, formats=formats()) as opened:
            image = colours(ImageOps.exif_transpose(opened), channels)
    except UnidentifiedImageError as error:
        raise MlrunError(f"cannot read {path}: it is not an image that Pillow knows") from error
    except Exception as error:  # decoders of broken files raise whatever they like
        raise MlrunError(f"cannot read {path}: {reason(error)}") from error
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
    return pixels_of(image)


def pixels_of(image: Image.Image) -> Pixels:
    """Returns an image of mode L or RGB as uint8 (C, H, W)."""
    pixels = np.asarray(image, dtype=np.uint8)
    pixels = pixels[None] if image.mode == "L" else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels)


def reason(error: Exception) -> str:
    """Returns what went wrong, without the kind where the message says it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if type(error) in (OSError, MlrunError) else one_line(error)


def colours(image: Image.Image, channels: Literal[1, 3]) -> Image.Image:
    """Returns `image` in mode L or RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        image = eight_bits(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Returns an image of 16 or 32 bits as mode L.

    Raises:
        MlrunError: its values have no known range.
    """
    values = np.asarray(image, dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    limit = 65535 if image.mode.startswith("I") else 1 if high <= 1 else 255
    if not (low >= 0 and high <= limit):  # a NaN is neither
        expected = "0 to 65535" if limit == 65535 else "0 to 1 or 0 to 255"
        raise MlrunError(f"its values run from {low:g} to {high:g}; expected {expected}")
    return Image.fromarray(np.rint(values * (255 / limit)).astype(np.uint8))
