"""Which tested images a page keeps, and as what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from results import decoded, results

from mlrun.data.splits import Selection
from mlrun.pages.thumbnails import (
    LOSSES,
    MOST,
    RIGHT,
    SIDE,
    WRONG,
    kept_places,
    rank_in_cell,
    sprite,
    thumbnails,
)


def test_of_each_cell_the_surest_mistakes_are_kept() -> None:
    known = results(3, 2000)
    kept = set(kept_places(known).tolist())
    sure, losses = known.confidence, known.losses
    highest = set(np.argsort(-losses)[:LOSSES].tolist())
    assert highest <= kept
    for true in range(3):
        for taken in range(3):
            cell = np.flatnonzero((known.labels == true) & (known.predicted == taken))
            order = np.argsort(sure[cell] if true == taken else -sure[cell], kind="stable")
            wanted = cell[order][: RIGHT if true == taken else WRONG].tolist()
            assert kept & set(cell.tolist()) == set(wanted) | (highest & set(cell.tolist()))


def test_of_too_many_images_each_cell_gives_in_turn_and_the_wrong_ones_first() -> None:
    known = results(30, 20_000)
    kept = set(np.argsort(-known.losses, kind="stable")[:LOSSES].tolist())
    order = np.where(known.right, known.confidence, -known.confidence)
    cells = known.labels * 30 + known.predicted
    by_cell = [np.flatnonzero(cells == cell) for cell in range(900)]
    by_cell = [rows[np.argsort(order[rows], kind="stable")] for rows in by_cell]
    for rank in range(WRONG):
        turn = sorted(int(rows[rank]) for rows in by_cell if rank < len(rows))
        for right in (False, True):
            for row in turn:
                if known.right[row] == right and (not right or rank < RIGHT) and len(kept) < MOST:
                    kept.add(row)
    assert kept_places(known).tolist() == sorted(kept)


def test_so_many_images_are_kept_at_most() -> None:
    known = results(100, 20_000)
    kept = kept_places(known)
    assert len(kept) == MOST
    assert (np.diff(kept) > 0).all()
    cells = known.labels * 100 + known.predicted
    held = np.bincount(cells[kept], minlength=10_000)
    there = np.bincount(cells, minlength=10_000) > 0
    assert there.sum() > MOST  # more cells than images, so that none gets a second but for losses
    assert (held > 1).sum() <= LOSSES


def test_ranks_are_within_each_cell() -> None:
    ranks = rank_in_cell(np.array([1, 0, 1, 1]), np.array([0.3, 9.0, 0.1, 0.2]))
    assert ranks.tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3)])
def test_a_sprite_holds_the_images_in_order(channels: int, shown: int) -> None:
    known = results(3, 50)
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, channels, 5, 9), dtype=torch.uint8, generator=drawn)
    selection = Selection("test", torch.arange(50) + 7, images, torch.zeros(60).long())
    kept = thumbnails(known, selection)
    sheet = sprite(kept)
    pixels = decoded(sheet.address)[..., :shown]
    for number, place in enumerate(kept.places):
        row, column = divmod(number, sheet.columns)
        there = pixels[row * 5 : row * 5 + 5, column * 9 : column * 9 + 9]
        np.testing.assert_array_equal(there.transpose(2, 0, 1), images[place + 7, :shown])


def test_large_images_are_averaged() -> None:
    known = results(3, 10)
    images = torch.zeros(17, 1, 96, 192, dtype=torch.uint8)
    images[..., ::2] = 200
    kept = thumbnails(known, Selection("test", torch.arange(10) + 7, images, torch.zeros(17)))
    assert kept.images.shape[1:] == (1, SIDE // 2, SIDE)
    assert np.abs(kept.images[..., 2:-2].astype(int) - 100).max() <= 1
