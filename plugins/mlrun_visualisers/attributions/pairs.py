"""Images, each with a picture of it beside it, under one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mlrun import MlrunError
from mlrun_visualisers.canvas.figures import captioned
from mlrun_visualisers.canvas.grids import WIDEST, beside, tile
from mlrun_visualisers.canvas.scales import Bar, Floats, Pixels, limit_of_most

SMALL, LEAST = 112, 32  # pixels: about the side of a small image, and the least of a large one
LARGEST = 420  # pixels: the side of a large image
BESIDE = 4  # pixels between an image and the one beside it


@dataclass(frozen=True)
class Look:
    """How pictures are drawn; the options of `mlrun_visualisers.saliency`.

    visualiser: its name, for messages.
    """

    visualiser: str
    columns: int
    scale: str
    limit: float | None
    cmap: str

    def __post_init__(self) -> None:
        if self.limit is not None and self.scale == "own":
            raise MlrunError(
                f"{self.visualiser}: limit fixes one scale for all; leave it out, or scale own"
            )

    def scaled(self, values: Floats) -> tuple[Floats, float, str]:
        """Returns values as shares of their limit, the end of the bar, and a title's text.

        Args:
            values: float32 (N, h, w), 0 or more.
        """
        if self.scale == "own":
            largest = values.max((1, 2), keepdims=True)
            shares = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
            return shares, 1.0, "0 to each image's own largest"
        high = limit_of_most(values) if self.limit is None else self.limit
        return (values / high).astype(np.float32), high, f"0 to {high:g}"


def paired(
    images: Pixels,
    pictures: Pixels,
    captions: Sequence[str],
    *,
    title: str,
    look: Look,
    high: float,
) -> Figure:
    """Returns a figure of images, each with a picture beside it and a caption below both.

    Args:
        images: uint8 (N, C, H, W).
        pictures: uint8 (N, H, W, 3).
        captions: of each image.
        title: of the figure.
        look: how many stand in a row, and the colours of the pictures.
        high: where the colour bar ends.
    """
    columns = min(look.columns, len(images))
    most = min(LARGEST, WIDEST // (2 * columns)) - BESIDE
    side = min(max(LEAST, most), max(SMALL, *images.shape[2:]))
    tiles = []
    for image, picture in zip(images, pictures, strict=True):
        left = tile(image, side, "gray")
        right = tile(picture.transpose(2, 0, 1), side, "gray")
        tiles.append(beside([left, right], BESIDE))
    bar = Bar(0, high, look.cmap)
    return captioned(tiles, captions, columns=columns, title=title, bar=bar)
