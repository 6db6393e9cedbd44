"""Grids of small images, each value a square of whole pixels, under one colour scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray
from PIL import Image

from mlrun import MlrunError

DPI = 100
GAP = 2  # pixels between the images of a grid
THINNEST = 12  # pixels: the least height and width of an image that was enlarged
GREY, WHITE = 120, 255  # of the gaps: white would be lost among weights near zero
EDGE = 60  # grey of the edge of a colour bar
TOP, SIDE, BAR = 48, 12, 88  # pixels: for the title, at the edges, for the colour bar
NARROWEST = 380  # pixels: of a figure
WIDEST = 1200  # pixels: about the width of a grid of many images, and about its height at most
TITLE, FONT = 9, 8  # points
LINE = 14  # pixels: the height of a line of text
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
    """Returns the ends of a colour scale, and what a title says of it.

    Args:
        values: what is drawn.
        scale: `power-of-two`: up to the smallest one that covers every |value|, so that epochs
            and runs line up; `min-max`: from the least to the largest value.
        signed: whether a power of two reaches as far below zero.
        limit: what the scale ends at in place of the power of two; how many values lie beyond
            it is told.
    """
    finite = values[np.isfinite(values)]
    if scale == "min-max" and finite.size:
        low, high = float(finite.min()), float(finite.max())
        return low, high if high > low else low + 1, f"{low:.3g} to {high:.3g} (min–max)"
    beyond = 0 if limit is None else int((np.abs(values) > limit).sum())
    told = f", {beyond:,} beyond" if beyond else ""
    end = limit or power_of_two(values)
    return (-end, end, f"±{end:g}{told}") if signed else (0.0, end, f"0 to {end:g}{told}")


def coloured(values: Floats, low: float, high: float, cmap: str) -> Pixels:
    """Returns `values` as colours, uint8 (…, 3)."""
    colours = colour_map(cmap)(Normalize(low, high)(values), bytes=True)
    return np.asarray(colours)[..., :3]


def colour_map(name: str) -> matplotlib.colors.Colormap:
    """Returns matplotlib's colour map of that name; raises MlrunError where there is none."""
    try:
        return matplotlib.colormaps[name]
    except KeyError:
        raise MlrunError(
            f"cmap {name}: matplotlib has no such colour map; it has magma, RdBu_r, gray, …"
        ) from None


def enlarged(image: Pixels, size: int) -> Pixels:
    """Returns uint8 (h, w, 3) with each pixel a square, about `size` pixels on the longer side.

    What would be a hairline is stretched to `THINNEST` pixels.
    """
    factor = max(1, round(size / max(image.shape[:2])))
    down, across = (max(factor, -(-THINNEST // length)) for length in image.shape[:2])
    return image.repeat(down, 0).repeat(across, 1)


def shrunk(image: Pixels, size: int) -> Pixels:
    """Returns uint8 (h, w, 3), averaged so that its longer side has at most `size` pixels."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= size:
        return image
    smaller = (max(1, width * size // longer), max(1, height * size // longer))
    return np.asarray(Image.fromarray(image).resize(smaller, Image.Resampling.BOX))


def gap_colour(cmap: str) -> int:
    """Returns the grey, 0–255, between images whose middle values must not look like it."""
    middle = np.array(colour_map(cmap)(0.5)[:3]) * 255
    return WHITE if np.abs(middle - GREY).max() < 40 else GREY


def grid(
    images: Sequence[Pixels], columns: int, rows: int | None = None, *, gap: int = GREY
) -> Pixels:
    """Returns images of one size as rows of `columns`, with gaps between them.

    Args:
        images: uint8 (h, w, 3).
        columns: images in a row.
        rows: as many as it takes, if it is not said; cells without an image are white.
        gap: the grey of the gaps, 0–255.
    """
    height, width = images[0].shape[:2]
    rows = rows or -(-len(images) // columns)
    canvas = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), WHITE, dtype=np.uint8
    )
    corners = [
        (place // columns * (height + GAP), place % columns * (width + GAP))
        for place in range(len(images))
    ]
    for top, left in corners:
        above, before = max(0, top - GAP), max(0, left - GAP)
        canvas[above : top + height + GAP, before : left + width + GAP] = gap
    for image, (top, left) in zip(images, corners, strict=True):
        canvas[top : top + height, left : left + width] = image
    return canvas


def shape_text(shape: Sequence[int]) -> str:
    """Returns a shape as titles write it: `6 × 24 × 24`."""
    return " × ".join(map(str, shape))


def framed(canvas: Pixels, *, title: str, low: float, high: float, cmap: str) -> Figure:
    """Returns a figure that shows `canvas` pixel for pixel, with a title and a colour bar."""
    height, width = canvas.shape[:2]
    bar_height = max(height, 60)
    total = (max(width + 2 * SIDE + BAR, title_width(title)), bar_height + TOP + 2 * SIDE)
    figure = Figure(figsize=(total[0] / DPI, total[1] / DPI), dpi=DPI)
    figure.figimage(canvas, SIDE, SIDE + bar_height - height, origin="upper")
    write_title(figure, title)
    add_bar(figure, width + 2 * SIDE, bar_height, low=low, high=high, cmap=cmap)
    return figure


def add_bar(figure: Figure, left: int, length: int, *, low: float, high: float, cmap: str) -> None:
    """Adds a colour bar at the foot of a figure, with five values beside it.

    By hand: matplotlib's own takes longer than all the rest of the picture.

    Args:
        left, length: pixels: where it starts, and how high it is.
        low, high: the values at its ends.
    """
    width, height = figure.get_size_inches() * DPI
    colours = coloured(np.linspace(high, low, length, dtype=np.float32), low, high, cmap)
    bar = colours[:, None].repeat(THINNEST, 1)
    bar[[0, -1]], bar[:, [0, -1]] = EDGE, EDGE
    figure.figimage(bar, left, SIDE, origin="upper")
    for place in np.linspace(0, 1, 5 if length >= 5 * LINE else 3):
        y = SIDE + 1 + place * (length - 2)
        figure.text(
            (left + THINNEST + 5) / width,
            y / height,
            f"{low + place * (high - low):.4g}".replace("-", "−"),
            va="center_baseline",
            fontsize=FONT,
            parse_math=False,
        )


def write_title(figure: Figure, title: str) -> None:
    """Writes a title into the upper left corner."""
    width, height = figure.get_size_inches() * DPI
    figure.text(SIDE / width, 1 - 8 / height, title, va="top", fontsize=TITLE, parse_math=False)


def write_on(figure: Figure, text: str, left: float, top: float, *, size: int) -> None:
    """Writes a text of `size` points whose upper left corner is at a pixel of the canvas."""
    width, height = figure.get_size_inches() * DPI
    x, y = (SIDE + left) / width, 1 - (TOP + SIDE + top) / height
    figure.text(x, y, text, va="top", fontsize=size, linespacing=1.2, parse_math=False)


def title_width(title: str) -> int:
    """Returns how many pixels wide a figure must be for its title."""
    widest = max(text_width(line, TITLE) for line in title.split("\n"))
    return max(NARROWEST, math.ceil(widest) + 2 * SIDE)


def text_width(text: str, size: int) -> float:
    """Returns how many pixels wide a line of text of `size` points is."""
    return float(measure().get_text_width_height_descent(text, FontProperties(size=size), False)[0])


@cache
def measure() -> RendererAgg:
    """Returns what draws the figures, to measure texts with."""
    return RendererAgg(1, 1, DPI)
