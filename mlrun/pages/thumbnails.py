"""Small copies of the tested images that a page opens: which are kept, and as one picture."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.pages.account import Tested, Thumbnails
from mlrun.pages.pictures import data_uri

if TYPE_CHECKING:
    from torch import Tensor

    from mlrun.data.splits import Selection

WRONG, RIGHT, LOSSES = 24, 8, 25  # images kept of a cell beside, and on, the diagonal; in all
MOST = 1500  # images in all
SIDE = 48  # pixels: the longer side at most
AT_ONCE = 64  # images that are made smaller together
LARGEST = 1_500_000  # bytes of a sprite without loss; a larger one is kept at quality 90


@dataclass(frozen=True)
class Sprite:
    """All thumbnails in one picture, row by row, `columns` a row.

    address: its data URI. width, height: of one thumbnail, in pixels.
    """

    address: str
    columns: int
    width: int
    height: int


def chosen(tested: Tested) -> NDArray[np.int64]:
    """Returns the places of the images that are kept, ascending, at most `MOST`.

    They are the images with the highest losses; of each cell of the confusion matrix the wrong
    ones, the surest first; and of the right ones those that were least sure. Where they are too
    many, the cells give in turn.
    """
    predicted, losses = tested.predicted, tested.losses
    sure = tested.chances.max(1)
    wrong = predicted != tested.labels
    rank = rank_in_cell(
        tested.labels * tested.logits.shape[1] + predicted, np.where(wrong, -sure, sure)
    )
    urgency = np.where(rank < np.where(wrong, WRONG, RIGHT), 2 * rank + ~wrong, len(rank) * 3)
    highest = np.argsort(-losses, kind="stable")[:LOSSES]
    urgency[highest] = -1
    order = np.argsort(urgency, kind="stable")[:MOST]
    return np.sort(order[urgency[order] < len(rank) * 3]).astype(np.int64)


def rank_in_cell(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the rank, from 0, of each value among those of its cell, lowest first."""
    order = np.lexsort((values, cells))
    there = cells[order]
    starts = np.flatnonzero(np.r_[True, there[1:] != there[:-1]])
    lengths = np.diff(np.r_[starts, len(there)])
    ranks = np.empty(len(cells), np.int64)
    ranks[order] = np.arange(len(cells)) - np.repeat(starts, lengths)
    return ranks


def thumbnails(tested: Tested, selection: Selection) -> Thumbnails:
    """Returns the small copies of the images that are kept.

    Args:
        tested: what the model says of them.
        selection: the images that were tested, in the same order.
    """
    import torch

    places = chosen(tested)
    parts = [
        smaller(selection.images[selection.indices[torch.from_numpy(some)]])
        for some in np.array_split(places, math.ceil(len(places) / AT_ONCE))
    ]
    return Thumbnails(places, np.concatenate(parts))


def smaller(images: Tensor) -> NDArray[np.uint8]:
    """Returns uint8 (n, C, H, W) averaged to at most `SIDE` pixels on the longer side."""
    import torch.nn.functional as F

    height, width = images.shape[2:]
    factor = SIDE / max(height, width)
    if factor < 1:
        size = [max(1, round(height * factor)), max(1, round(width * factor))]
        small = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
        images = small.round().clamp(0, 255).byte()
    return np.asarray(images.cpu().numpy())


def archive(kept: Thumbnails) -> bytes:
    """Returns thumbnails as a compressed `.npz`: `places` (M,), `images` uint8 (M, C, h, w)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, places=kept.places, images=kept.images)
    return buffer.getvalue()


def sprite(kept: Thumbnails) -> Sprite:
    """Returns all thumbnails in one picture: grey, in colour, or of the first of other channels."""
    images = kept.images if kept.images.shape[1] in (1, 3) else kept.images[:, :1]
    count, channels, height, width = images.shape
    columns = max(1, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, channels, height, width), np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, channels, height, width)
    sheet = grid.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, method=3, quality=50)
    if buffer.tell() > LARGEST:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=90)
    return Sprite(data_uri(buffer.getvalue(), "webp"), columns, width, height)
