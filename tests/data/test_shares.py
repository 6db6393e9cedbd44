"""Which images of a batch one of several processes has."""

from __future__ import annotations

import pytest
import torch

from mlrun.data.shares import STAND_INS, Share, without_ahead
from mlrun.machine.group import ALONE, Group
from mlrun.machine.place import Place


def shares_of(size: int, whole: int, at_once: int, ahead: int = 0) -> list[Share]:
    """The parts that the ranks of a group have of one batch."""
    parts = [Share.of(Group(Place(rank, size)), whole, at_once, ahead) for rank in range(size)]
    return [part for part in parts if part is not None]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    ("whole", "at_once"), [(12, 12), (7, 12), (1, 4), (30, 8), (25, 4), (9, 2)]
)
def test_each_piece_of_a_batch_is_shared_without_gap_or_double(
    size: int, whole: int, at_once: int
) -> None:
    parts = shares_of(size, whole, at_once)
    for number, start in enumerate(range(0, whole, at_once)):
        shares = [part.places.split(part.sizes)[number].tolist() for part in parts]
        own = [
            share if part.counts[number] else [] for part, share in zip(parts, shares, strict=True)
        ]
        assert [place for share in own for place in share] == list(
            range(start, min(start + at_once, whole))
        )
        counts = [len(share) for share in own]
        assert counts == sorted(counts, reverse=True), "the first ranks have one more"
        assert max(counts) - min(counts) <= 1
        assert all(
            len(share) in (len(some), STAND_INS) for share, some in zip(shares, own, strict=True)
        )


@pytest.mark.parametrize(("whole", "at_once"), [(12, 12), (30, 8), (5, 2)])
def test_each_image_has_the_one_before_it_until_those_ahead_are_left_out(
    whole: int, at_once: int
) -> None:
    images = torch.arange(whole)
    for plain, part in zip(
        shares_of(3, whole, at_once), shares_of(3, whole, at_once, ahead=1), strict=True
    ):
        own = images[part.places]
        before = without_ahead(own.roll(1), part)
        own = without_ahead(own, part)
        assert own.tolist() == plain.places.tolist()
        real = torch.cat(
            [
                torch.full((size,), bool(count))
                for size, count in zip(part.sizes, part.counts, strict=True)
            ]
        )
        assert before[real].tolist() == ((own - 1) % whole)[real].tolist()


def test_one_process_has_all() -> None:
    assert Share.of(ALONE, 12, 4) is None
