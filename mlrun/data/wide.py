"""Images of more than 8 bits: their values, and the one range of them that becomes 0–255."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.errors import MlrunError

Values = NDArray[Any]
Range = tuple[float, float]

# Pillow keeps the high byte of these; the opposite order of bytes gives the low one
COLOUR = re.compile(r"(RGB|RGBA|RGBX);16([LBN])")
OPPOSITE = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
UNSIGNED = 1  # a TIFF's sample format


def is_wide(image: Image.Image) -> bool:
    """Whether the values of an image file, opened and not yet loaded, have more than 8 bits."""
    return image.mode[:1] in ("I", "F") or kept_high(image) is not None


def kept_high(image: Image.Image) -> str | None:
    """Returns the raw mode of a colour image of 16 bits, of which Pillow keeps the high bytes."""
    modes = {first(tile.args) for tile in getattr(image, "tile", [])}
    mode = modes.pop() if len(modes) == 1 else ""
    return mode if COLOUR.fullmatch(mode) or mode == "LA;16B" else None


def first(arguments: object) -> str:
    """Returns the raw mode among the arguments of a decoder; nothing if there is none."""
    mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return mode if isinstance(mode, str) else ""


def wide_values(load: Callable[[str | None], Image.Image], image: Image.Image) -> Values:
    """Returns the values of a wide image: (H, W), or (H, W, C) of colours, alpha last.

    Args:
        load: opens the file anew, with another raw mode if one is given, and loads it upright.
        image: the file, opened and not yet loaded.
    """
    mode = kept_high(image)
    if mode == "LA;16B":  # the high and low bytes of both are the four bytes of a pixel
        return joined(np.asarray(load("RGBA")))
    if mode:
        low = load(f"{mode[:-1]}{OPPOSITE[mode[-1]]}")
        return joined(np.stack([np.asarray(load(None)), np.asarray(low)], -1))
    values = np.asarray(load(None))
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and tags.get(258) == (32,) and tags.get(339, (UNSIGNED,)) == (UNSIGNED,):
        return values.view(np.uint32)  # Pillow takes them for signed ones
    return values


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
