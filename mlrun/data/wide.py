"""Images of more than 8 bits: their values, and the one range of them that becomes 0–255."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.errors import MlrunError

Values = NDArray[Any]
Range = tuple[float, float]

# Pillow keeps the high byte of these; the opposite order of bytes gives the low one
COLOUR = re.compile(r"(RGB|RGBA|RGBX);16[LBN]")
OPPOSITE = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
# what libtiff unpacks has this machine's order of bytes; Pillow takes that of the file
UNPACKED = {"F;32BF": "F;32NF", "I;32BS": "I;32NS", "I;16BS": "I;16NS"}
BITS, PLANES, SAMPLE_FORMAT = 258, 284, 339  # tags of a TIFF
UNSIGNED = 1  # a sample format


def raw_modes(image: Image.Image) -> list[dict[str, str]]:
    """Returns how a wide image's bytes are taken: Pillow's raw modes, and those in their place.

    Once where that gives its values, else first for their high bytes and then for the low ones;
    nothing for an image of 8 bits or fewer. The file is opened, and not yet loaded.

    Raises:
        MlrunError: its low bytes cannot be had.
    """
    tags: Any = getattr(image, "tag_v2", {})
    tiles = getattr(image, "tile", [])
    modes = {raw_mode(tile.args) for tile in tiles}
    unpacked = any(tile.codec_name == "libtiff" for tile in tiles)
    if image.mode[:1] in ("I", "F"):
        return [UNPACKED if unpacked else {}]
    if modes == {"LA;16B"}:  # the high and low bytes of both are the four bytes of a pixel
        return [{"LA;16B": "RGBA"}]
    if unpacked and tags.get(PLANES) == 2 and set(tags.get(BITS, ())) == {16}:
        raise MlrunError(
            "of 16-bit colours in compressed planes Pillow reads only 8 bits; save it with the "
            "colours of a pixel side by side"
        )
    if modes and all(COLOUR.fullmatch(mode) for mode in modes):
        return [{}, {mode: mode[:-1] + OPPOSITE[mode[-1]] for mode in modes}]
    if modes and modes <= set("RGBA") and set(tags.get(BITS, ())) == {16}:  # in planes
        order = "L" if tags.prefix == b"II" else "B"
        return [{mode: f"{mode};16{o}" for mode in modes} for o in (order, OPPOSITE[order])]
    return []


def raw_mode(arguments: object) -> str:
    """Returns the raw mode among the arguments of a decoder; nothing if there is none."""
    mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return mode if isinstance(mode, str) else ""


def wide_values(load: Callable[[Mapping[str, str]], Image.Image], image: Image.Image) -> Values:
    """Returns the values of a wide image: (H, W), or (H, W, C) of colours, alpha last.

    Args:
        load: opens the file anew, with other raw modes in place of Pillow's, and loads it upright.
        image: the file, opened and not yet loaded.
    """
    loaded = [np.asarray(load(modes)) for modes in raw_modes(image)]
    if image.mode[:1] not in ("I", "F"):
        return joined(loaded[0] if len(loaded) == 1 else np.stack(loaded, -1))
    tags = getattr(image, "tag_v2", {})
    unsigned = tags.get(SAMPLE_FORMAT, (UNSIGNED,)) == (UNSIGNED,)
    if image.mode == "I" and tags.get(BITS) == (32,) and unsigned:
        return loaded[0].view(np.uint32)  # Pillow takes them for signed ones
    return loaded[0]


def joined(pairs: NDArray[np.uint8]) -> Values:
    """Returns the values of 16 bits whose high and low bytes follow each other."""
    height, width = pairs.shape[:2]
    return np.ascontiguousarray(pairs).view(">u2").reshape(height, width, -1).astype(np.uint16)


def colours_of(values: Values) -> Values:
    """Returns the values that a range is of: all but the alpha."""
    return values[..., : values.shape[-1] - alphas(values)] if values.ndim == 3 else values


def alphas(values: Values) -> int:
    """Returns how many channels are alpha: 1 or 0."""
    return int(values.ndim == 3 and values.shape[-1] in (2, 4))


def limits(values: Values) -> Range:
    """Returns the lowest and the highest of the values; infinite ones and NaN do not count.

    Raises:
        MlrunError: none is a number.
    """
    colours = colours_of(values)
    finite = colours[np.isfinite(colours)]
    if not finite.size:
        raise MlrunError(
            f"its values run from {colours.min():g} to {colours.max():g}; expected finite numbers"
        )
    return float(finite.min()), float(finite.max())


def assumed_range(values: Values) -> Range:
    """Returns the range of values of which none is known: that of 16 bits, 0–1 or 0–255.

    Raises:
        MlrunError: they lie beyond it.
    """
    low, high = limits(values)
    whole = np.issubdtype(values.dtype, np.integer)
    limit = 65535 if whole else 1 if high <= 1 else 255
    if not (low >= 0 and high <= limit):
        expected = "0 to 65535" if whole else "0 to 1 or 0 to 255"
        raise MlrunError(f"its values run from {low:g} to {high:g}; expected {expected}")
    return 0, limit


def eight_bits(values: Values, value_range: Range) -> Image.Image:
    """Returns values as an image of 8 bits: mode L, LA, RGB or RGBA.

    The range becomes 0–255, values beyond it 0 or 255, NaN 0; alpha is divided by 257.
    """
    pixels = scaled(colours_of(values), value_range)
    if alphas(values):
        pixels = np.concatenate([pixels, scaled(values[..., -1:], (0, 65535))], -1)
    return Image.fromarray(pixels)


def scaled(values: Values, value_range: Range) -> NDArray[np.uint8]:
    """Returns values so that the range becomes 0–255, NaN 0; what lies beyond is clamped."""
    low, high = value_range
    clamped = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    clamped = clamped.clip(low, high)
    return np.rint((clamped - low) * 255 / (high - low)).astype(np.uint8)
