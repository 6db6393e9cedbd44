"""Small copies of tested images: which images are kept, and all of them as one picture."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlrun.errors import MlrunError
from mlrun.pages.account import Thumbnails
from mlrun.pages.stills import data_uri
from mlrun.training.predictions import Predictions, kind

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


def kept_places(predictions: Predictions) -> NDArray[np.int64]:
    """Returns the rows of the images that are kept, ascending, at most `MOST`.

    First come the images with the highest losses. Then each cell of the confusion matrix in turn
    gives one image: a wrong cell the most confident prediction that it has left, up to `WRONG`
    images, a right cell the least confident one, up to `RIGHT`.
    """
    right, confidence = predictions.right, predictions.confidence
    cells = predictions.labels * predictions.logits.shape[1] + predictions.predicted
    rank = rank_in_cell(cells, np.where(right, confidence, -confidence))
    turns = np.lexsort((right, rank))  # rank by rank, in each the wrong images first
    turns = turns[rank[turns] < np.where(right, RIGHT, WRONG)[turns]]
    highest = np.argsort(-predictions.losses, kind="stable")[:LOSSES]
    rows = list(dict.fromkeys([*highest.tolist(), *turns.tolist()]))[:MOST]
    return np.sort(np.asarray(rows, np.int64))


def rank_in_cell(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the rank, from 0, of each value among those of its cell, lowest first."""
    order = np.lexsort((values, cells))
    _, starts, lengths = np.unique(cells[order], return_index=True, return_counts=True)
    ranks = np.empty(len(cells), np.int64)
    ranks[order] = np.arange(len(cells)) - np.repeat(starts, lengths)
    return ranks


def thumbnails(predictions: Predictions, selection: Selection) -> Thumbnails:
    """Returns the small copies of the images that are kept.

    Args:
        predictions: for the images of `selection`, in the same order.
        selection: the images that were tested.
    """
    import torch

    places = kept_places(predictions)
    parts = [
        smaller(selection.images[selection.indices[torch.from_numpy(rows)]])
        for rows in np.array_split(places, math.ceil(len(places) / AT_ONCE))
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


def archive(thumbnails: Thumbnails) -> bytes:
    """Returns thumbnails as a compressed `.npz`: `places` (M,), `images` uint8 (M, C, h, w)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, places=thumbnails.places, images=thumbnails.images)
    return buffer.getvalue()


def of_archive(arrays: Mapping[str, NDArray[Any]], tested: int) -> Thumbnails:
    """Returns the thumbnails whose archive has these arrays.

    Args:
        arrays: `places` and `images`, by name.
        tested: how many images were tested.

    Raises:
        MlrunError: an array has another shape or type, or a place is none of a tested image.
    """
    places, images = arrays["places"], arrays["images"]
    if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
        raise MlrunError(f"images is {kind(images)}; expected uint8 (M, C, h, w)")
    if len(images) > MOST or max(images.shape[2:]) > SIDE:
        raise MlrunError(f"images is {kind(images)}; expected {MOST} of {SIDE} pixels at most")
    if places.shape != images.shape[:1] or places.dtype.kind not in "iu":
        raise MlrunError(f"places is {kind(places)}; expected int64 ({len(images)},)")
    if places.min() < 0 or places.max() >= tested or (np.diff(places.astype(np.int64)) <= 0).any():
        raise MlrunError(f"places do not rise from 0 to at most {tested - 1}")
    return Thumbnails(places.astype(np.int64), images)


def sprite(thumbnails: Thumbnails) -> Sprite:
    """Returns all thumbnails in one picture: grey, in colour, or of the first of other channels."""
    images = thumbnails.images
    if images.shape[1] not in (1, 3):
        images = images[:, :1]
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
