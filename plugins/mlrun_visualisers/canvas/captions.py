"""Texts under what is drawn: captions of a grid of images, names of classes below an axis."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlrun_visualisers.canvas.grids import (
    BAR,
    DPI,
    FONT,
    LINE,
    SIDE,
    TOP,
    WIDEST,
    Bar,
    Pixels,
    add_bar,
    colour_map,
    enlarged,
    shrunk,
    text_width,
    title_width,
    write_title,
)

NARROW = 3  # pixels: about the narrowest letter
BETWEEN = 8  # pixels between one image and the next
LARGEST, SMALLEST = 96, 32  # pixels: the side of an image in the grid


def tile(image: NDArray[np.uint8], size: int, cmap: str) -> Pixels:
    """Returns an image, uint8 (C, H, W), as uint8 (h, w, 3), its longer side `size` at most.

    Three channels are red, green and blue; of any other number the first is drawn, in the
    colours of `cmap`. A small image is enlarged by a whole factor, a large one averaged.
    """
    if len(image) == 3:
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    else:
        pixels = palette(cmap)[image[0]]
    return enlarged(shrunk(pixels, size), max(1, size - size % max(pixels.shape[:2])))


def palette(cmap: str) -> Pixels:
    """Returns the colours of 0 to 255, uint8 (256, 3).

    Rounded: matplotlib itself cuts fractions off, and `gray` then darkens some greys by one.
    """
    colours = colour_map(cmap)(np.linspace(0, 1, 256))[:, :3]
    return (colours * 255).round().astype(np.uint8)


def tile_size(columns: int) -> int:
    """Returns the side in pixels of an image, so that a row of `columns` is not too wide."""
    return max(SMALLEST, min(LARGEST, WIDEST // columns - BETWEEN))


def captioned(
    tiles: Sequence[Pixels],
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    bar: Bar | None = None,
) -> Figure:
    """Returns a figure that shows images of one size pixel for pixel, in rows of `columns`.

    A caption's line that is wider than its place is shortened. A colour bar, if there is one,
    stands at the right.
    """
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    lines = max(caption.count("\n") + 1 for caption in captions)
    across = max(width, tile_size(columns)) + BETWEEN
    down = height + lines * LINE + BETWEEN
    head = TOP if "\n" in title else TOP - LINE
    whole = columns * across + 2 * SIDE + (BAR if bar else 0)
    size = (max(whole, title_width(title)), head + rows * down + SIDE)
    canvas = np.full((rows * down, columns * across, 3), 255, dtype=np.uint8)
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    for place, (image, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = place // columns * down, place % columns * across + (across - width) // 2
        canvas[top : top + height, left : left + width] = image
        figure.text(
            (SIDE + left + width / 2) / size[0],
            1 - (head + top + height + 2) / size[1],
            "\n".join(shortened(line, across - BETWEEN) for line in caption.split("\n")),
            ha="center",
            va="top",
            fontsize=FONT,
            linespacing=1.1,
            parse_math=False,
        )
    figure.figimage(canvas, SIDE, SIDE, origin="upper")
    if bar:
        left, length = columns * across + 2 * SIDE, rows * down
        add_bar(figure, left, length, low=bar.low, high=bar.high, cmap=bar.cmap)
    write_title(figure, title)
    return figure


def message(text: str) -> Figure:
    """Returns a figure that has nothing to show but the reason."""
    figure = Figure(figsize=(title_width(text) / DPI, 1.0), dpi=DPI)
    write_title(figure, text)
    return figure


def slanted(names: Sequence[str]) -> bool:
    """Whether names are too long to stand side by side."""
    return max(map(len, names), default=0) > 3


def write_below(axes: Axes, names: Sequence[str], *, size: float | None = None) -> None:
    """Writes the names of the classes, from 0, below an axis, long ones slanted.

    `size` is in points; None is matplotlib's own.
    """
    slant = slanted(names)
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=45 if slant else 0,
        ha="right" if slant else "center",
        rotation_mode="anchor" if slant else "default",
        fontsize=size,
        parse_math=False,
    )


@lru_cache
def shortened(text: str, width: float) -> str:
    """Returns a line of text that is at most `width` pixels wide in a caption.

    What is too much is cut from the middle: names often start alike.
    """
    whole = " ".join(text.split())
    text = whole
    for kept in range(min(len(whole) - 1, int(width) // NARROW), 1, -1):
        if text_width(text, FONT) <= width:
            break
        text = f"{whole[: kept - kept // 2]}…{whole[len(whole) - kept // 2 :]}"
    return text
