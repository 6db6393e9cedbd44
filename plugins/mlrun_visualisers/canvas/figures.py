"""Figures that show pictures pixel for pixel: with a colour bar, with captions, or a reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mlrun_visualisers.canvas.captions import (
    FONT,
    LINE,
    SIDE,
    TOP,
    blank_figure,
    shortened,
    size_of,
    title_width,
    write_title,
)
from mlrun_visualisers.canvas.grids import THINNEST, WIDEST, paste, white
from mlrun_visualisers.canvas.scales import Bar, Pixels, coloured

BAR = 88  # pixels: for the colour bar
EDGE = 60  # grey of the edge of a colour bar
BETWEEN = 8  # pixels between one captioned image and the next
LARGEST, SMALLEST = 96, 32  # pixels: the side of a captioned image


def framed(canvas: Pixels, *, title: str, bar: Bar) -> Figure:
    """Returns a figure that shows `canvas` pixel for pixel, with a title and a colour bar."""
    height, width = canvas.shape[:2]
    bar_height = max(height, 60)
    total = (max(width + 2 * SIDE + BAR, title_width(title)), bar_height + TOP + 2 * SIDE)
    figure = blank_figure(*total)
    figure.figimage(canvas, SIDE, SIDE + bar_height - height, origin="upper")
    write_title(figure, title)
    add_bar(figure, bar, width + 2 * SIDE, bar_height)
    return figure


def add_bar(figure: Figure, bar: Bar, left: int, length: int) -> None:
    """Adds a colour bar at the foot of a figure, with five values beside it.

    By hand: matplotlib's own takes longer than all the rest of the picture.

    Args:
        bar: its ends and colours.
        left, length: pixels: where it starts, and how high it is.
    """
    width, height = size_of(figure)
    values = np.linspace(bar.high, bar.low, length, dtype=np.float32)
    strip = coloured(values, bar.low, bar.high, bar.cmap)[:, None].repeat(THINNEST, 1)
    strip[[0, -1]], strip[:, [0, -1]] = EDGE, EDGE
    figure.figimage(strip, left, SIDE, origin="upper")
    for place in np.linspace(0, 1, 5 if length >= 5 * LINE else 3):
        y = SIDE + 1 + place * (length - 2)
        figure.text(
            (left + THINNEST + 5) / width,
            y / height,
            f"{bar.low + place * (bar.high - bar.low):.4g}".replace("-", "−"),
            va="center_baseline",
            fontsize=FONT,
            parse_math=False,
        )


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
    canvas = white(rows * down, columns * across)
    figure = blank_figure(*size)
    for place, (image, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = place // columns * down, place % columns * across + (across - width) // 2
        paste(canvas, image, top, left)
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
        add_bar(figure, bar, columns * across + 2 * SIDE, rows * down)
    write_title(figure, title)
    return figure


def tile_size(columns: int) -> int:
    """Returns the side in pixels of an image, so that a row of `columns` is not too wide."""
    return max(SMALLEST, min(LARGEST, WIDEST // columns - BETWEEN))


def message(text: str) -> Figure:
    """Returns a figure with the reason why there is no picture."""
    figure = blank_figure(title_width(text), 100)
    write_title(figure, text)
    return figure
