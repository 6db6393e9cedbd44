"""Image files to pixels, by one rule for training and for prediction; loads no torch."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mlrun.data import wide
from mlrun.data.unread import unread_type
from mlrun.data.wide import Range
from mlrun.errors import MlrunError, one_line
from mlrun.seam.files import fault_of_file

LOG = logging.getLogger("mlrun.data")

# goes up when `decode` gives other pixels, so that what was kept of it is made again
DECODING_RULE = 2
LEFT_OUT = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")  # Pillow has no decoder of its own
OPTIONAL = ("pillow_heif.HeifImagePlugin", "pillow_jxl")  # decoders that are there once imported

Pixels = NDArray[np.uint8]


class Decoded(NamedTuple):
    """An image file's pixels, uint8 (C, H, W).

    levels: of a file of more than 8 bits, how many of its values became each of 0 to 255 (before
        they were scaled to a size), int64 (256,); None of others.
    """

    pixels: Pixels
    levels: NDArray[np.int64] | None


@functools.cache
def add_decoders() -> None:
    """Registers Pillow's decoders, and those of the packages in `OPTIONAL` that are installed."""
    Image.init()
    for module in OPTIONAL:
        package = module.partition(".")[0]
        if importlib.util.find_spec(package) is None:
            continue
        try:
            importlib.import_module(module)
        except Exception as error:
            LOG.warning("%s cannot be used: %s", package, one_line(error))


def formats() -> tuple[str, ...]:
    """Returns the names of the formats that are read.

    They are Pillow's, but those it cannot decode, and what installed packages and plugins add.
    """
    add_decoders()
    return tuple(name for name in Image.OPEN if name not in LEFT_OUT)


def is_image(path: Path | str) -> bool:
    """Whether the file's suffix is that of an image; the file is not opened."""
    add_decoders()
    name = Image.registered_extensions().get(Path(path).suffix.lower(), "")
    return name == "MPO" or (name in Image.OPEN and name not in LEFT_OUT)


def decoders_added() -> bool:
    """Whether there are decoders of others than Pillow and mlrun, such as those of a plugin.

    A process that is started to decode needs the plugins then: `Worker(…, plugins=True)`.
    """
    add_decoders()
    known = ("PIL", *(module.partition(".")[0] for module in OPTIONAL))
    modules = {getattr(opener, "__module__", "") for opener, _ in Image.OPEN.values()}
    return any(module.partition(".")[0] not in known for module in modules)


@contextmanager
def quiet_decoding() -> Iterator[None]:
    """Silences Pillow's warnings of odd EXIF data or palettes, which harm no pixel.

    It changes the warnings of the whole process, so it goes around all threads that decode.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(
    path: Path,
    *,
    channels: Literal[1, 3],
    size: tuple[int, int] | None = None,
    value_range: Range | None = None,
) -> Pixels:
    """Returns an image file as uint8 (C, H, W), 0–255; a NumPy array, so no torch is needed.

    The rule: the first frame, turned as its EXIF orientation says; transparency on white. Values
    of more than 8 bits (16-bit grey; 16-bit colour of PNG and TIFF; whole numbers of 32 bits;
    floats) become 0–255 so that `value_range` covers it, what lies beyond is clamped, and NaN is
    0; where no range is known, whole numbers are taken as 0–65,535, and floats as 0–1 if they lie
    there, else as 0–255. Colour becomes grey as 0.299 R + 0.587 G + 0.114 B. At last, if the size
    differs: scaled, aspect kept and antialiased (bilinear), until it covers `size`, and the
    centre cut out. Pillow may warn of what harms no pixel; see `quiet_decoding`.

    Args:
        path: a file of any format and mode that Pillow decodes itself, or a plugin of Pillow.
        channels: 1 for grey, 3 for RGB.
        size: (H, W) in pixels; None keeps the image's own.
        value_range: the values that become 0 and 255 where there are more than 8 bits; the one
            of a whole data set, so that its images are alike.

    Raises:
        MlrunError: the file cannot be read, is a pipe or a device, is cut short, has values but
            no range for them, or more pixels than Pillow takes for a decompression bomb
            (178,956,970); the message names the file.
    """
    return decode_with_levels(path, channels=channels, size=size, value_range=value_range).pixels


def decode_with_levels(
    path: Path,
    *,
    channels: Literal[1, 3],
    size: tuple[int, int] | None = None,
    value_range: Range | None = None,
) -> Decoded:
    """Returns what `decode` does, and which of 256 levels the values of a wide image came to."""
    levels = None
    with reading(path), Image.open(path, formats=formats()) as opened:
        if wide.raw_modes(opened):
            values = wide.wide_values(functools.partial(load_upright, path), opened)
            wide.limits(values)  # raises where there are none
            narrow = wide.eight_bits(values, value_range or wide.assumed_range(values))
            shades = np.asarray(narrow)
            levels = np.bincount(wide.colours_of(shades).ravel(), minlength=256)
            image = colours(narrow, channels)
        else:
            image = colours(ImageOps.exif_transpose(opened), channels)
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BILINEAR)
    return Decoded(pixels_of(image), levels)


def values_of(path: Path) -> Range | None:
    """Returns the lowest and highest value of an image file; None if it has 8 bits or fewer.

    Raises:
        MlrunError: as for `decode`.
    """
    with reading(path), Image.open(path, formats=formats()) as opened:
        if not wide.raw_modes(opened):
            return None
        return wide.limits(wide.wide_values(functools.partial(load_upright, path), opened))


def load_upright(path: Path, modes: Mapping[str, str]) -> Image.Image:
    """Returns an image file, turned as its EXIF orientation says.

    Args:
        path: of the file.
        modes: Pillow's raw modes, by which bytes are taken, and others in their place.
    """
    with Image.open(path, formats=formats()) as opened:
        if modes:
            opened.tile = [tile._replace(args=replaced(tile.args, modes)) for tile in opened.tile]
        return ImageOps.exif_transpose(opened)


def replaced(arguments: Any, modes: Mapping[str, str]) -> Any:
    """Returns the arguments of a decoder with another raw mode."""
    mode = modes.get(wide.raw_mode(arguments), wide.raw_mode(arguments))
    return (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a decoder raises into an MlrunError that names the file.

    What is no file is refused before it is opened.
    """
    if fault := fault_of_file(path):
        raise MlrunError(f"cannot read {path}: {fault}")
    try:
        yield
    except UnidentifiedImageError as error:
        kind = unread_type(path, inside=True)
        what = f"{kind.name}; {kind.advice}" if kind else "not an image that Pillow knows"
        raise MlrunError(f"cannot read {path}: it is {what}") from error
    except Exception as error:  # decoders of broken files raise whatever they like
        raise MlrunError(f"cannot read {path}: {reason(error)}") from error


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
    """Returns an image of 8 bits or fewer in mode L or RGB."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")
