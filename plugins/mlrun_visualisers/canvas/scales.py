"""Colour scales: their ends, their colours, and the text about them in a title."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from mlrun import MlrunError

GREY, WHITE = 120, 255  # of the gaps in a grid: white would be lost among weights near zero
COVERED = 0.99  # of the values lie within a scale that leaves out a few far larger ones
Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Scale = Literal["power-of-two", "min-max"]


@dataclass(frozen=True)
class Bar:
    """The scale of colours beside a picture: its ends, and matplotlib's name of the map."""

    low: float
    high: float
    cmap: str


def power_of_two(values: Floats) -> float:
    """Returns the smallest power of two that covers every |value|; 1 if all are zero.

    >>> power_of_two(np.array([0.3, -0.6], dtype=np.float32))
    1.0
    """
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return 2.0 ** math.ceil(math.log2(largest)) if largest > 0 else 1.0


def limit_of_most(values: Floats) -> float:
    """Returns the smallest power of two that covers 99 % of the |values|."""
    return power_of_two(np.quantile(np.abs(values), COVERED, keepdims=True).astype(np.float32))


def check_limit(visualiser: str, limit: float | None, scale: Scale = "power-of-two") -> None:
    """Raises MlrunError unless `limit` is a number above 0, or None, and goes with the scale."""
    if limit is None:
        return
    if not 0 < limit < math.inf:
        raise MlrunError(f"{visualiser}: limit {limit:g}; expected a number above 0")
    if scale == "min-max":
        raise MlrunError(
            f"{visualiser}: limit {limit:g} fixes the scale, and scale is min-max; leave one out"
        )


def limits(
    values: Floats, scale: str, *, signed: bool, limit: float | None = None
) -> tuple[float, float, str]:
    """Returns the ends of a colour scale, and a title's text about it.

    Args:
        values: what is drawn.
        scale: `power-of-two`: up to the smallest one that covers every |value|, so that epochs
            and runs line up; `min-max`: from the least to the largest value.
        signed: whether a power of two reaches as far below zero.
        limit: what the scale ends at in place of the power of two; the
            text says how many values lie beyond it.
    """
    finite = values[np.isfinite(values)]
    if scale == "min-max" and finite.size:
        low, high = float(finite.min()), float(finite.max())
        return low, high if high > low else low + 1, f"{low:.3g} to {high:.3g} (min–max)"
    beyond = 0 if limit is None else int((np.abs(values) > limit).sum())
    note = f", {beyond:,} beyond" if beyond else ""
    end = limit or power_of_two(values)
    return (-end, end, f"±{end:g}{note}") if signed else (0.0, end, f"0 to {end:g}{note}")


def coloured(values: Floats, low: float, high: float, cmap: str) -> Pixels:
    """Returns `values` as colours, uint8 (…, 3)."""
    colours = colour_map(cmap)(Normalize(low, high)(values), bytes=True)
    return np.asarray(colours)[..., :3]


def palette(cmap: str) -> Pixels:
    """Returns the colours of 0 to 255, uint8 (256, 3).

    Rounded: matplotlib itself cuts fractions off, and `gray` then darkens some greys by one.
    """
    colours = colour_map(cmap)(np.linspace(0, 1, 256))[:, :3]
    return (colours * 255).round().astype(np.uint8)


def colour_map(name: str) -> matplotlib.colors.Colormap:
    """Returns matplotlib's colour map of that name; raises MlrunError where there is none."""
    try:
        return matplotlib.colormaps[name]
    except KeyError:
        raise MlrunError(
            f"cmap {name}: matplotlib has no such colour map; it has magma, RdBu_r, gray, …"
        ) from None


def gap_colour(cmap: str) -> int:
    """Returns the grey, 0–255, between images whose middle values must not look like it."""
    middle = np.array(colour_map(cmap)(0.5)[:3]) * 255
    return WHITE if np.abs(middle - GREY).max() < 40 else GREY
