"""Pictures as arrays of pixels: small images enlarged, and put together as grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mlrun_visualisers.canvas.scales import GREY, WHITE, Pixels, palette

GAP = 2  # pixels between the images of a grid
THINNEST = 12  # pixels: the least height and width of an image that was enlarged
WIDEST = 1200  # pixels: about the width of a grid of many images, and about its height at most


def tile(image: Pixels, size: int, cmap: str) -> Pixels:
    """Returns an image, uint8 (C, H, W), as uint8 (h, w, 3), its longer side `size` at most.

    Three channels are red, green and blue; of any other number the first is drawn, in the
    colours of `cmap`. A small image is enlarged by a whole factor, a large one averaged.
    """
    if len(image) == 3:
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    else:
        pixels = palette(cmap)[image[0]]
    return enlarged(shrunk(pixels, size), max(1, size - size % max(pixels.shape[:2])))


def resized(image: Pixels, size: int, most: int) -> Pixels:
    """Returns uint8 (h, w, 3) enlarged to about `size` pixels, or averaged to at most `most`."""
    return enlarged(shrunk(image, most), size)


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
    canvas = white(rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    corners = [
        (place // columns * (height + GAP), place % columns * (width + GAP))
        for place in range(len(images))
    ]
    for top, left in corners:
        above, before = max(0, top - GAP), max(0, left - GAP)
        canvas[above : top + height + GAP, before : left + width + GAP] = gap
    for image, (top, left) in zip(images, corners, strict=True):
        paste(canvas, image, top, left)
    return canvas


def beside(images: Sequence[Pixels], between: int) -> Pixels:
    """Returns images side by side, white between them and below those that are less high."""
    height = max(map(len, images))
    lefts = np.cumsum([0, *(image.shape[1] + between for image in images)]).tolist()
    canvas = white(height, lefts[-1] - between)
    for image, left in zip(images, lefts, strict=False):
        paste(canvas, image, 0, left)
    return canvas


def white(height: int, width: int) -> Pixels:
    """Returns white pixels, uint8 (height, width, 3)."""
    return np.full((height, width, 3), WHITE, dtype=np.uint8)


def paste(canvas: Pixels, image: Pixels, top: int, left: int) -> None:
    """Puts an image on a canvas, its upper left corner at a pixel of it."""
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
