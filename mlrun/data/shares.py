"""The share of a batch that one of several processes has."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mlrun.machine.group import Group
from mlrun.machine.place import Place

STAND_INS = 2  # models are not made for no image at all, and one alone batch normalisation refuses


class Share(NamedTuple):
    """Which images of a batch those are that one of several processes has.

    A batch that goes through the model in pieces, one after another, is shared piece by piece: the
    images that meet in the model are the same, however many processes there are.

    whole: how many images the batch has. places: theirs in it, int64 (n,), on the CPU.
    counts: of each piece, how many are this process's; where that is 0, others stand in.
    """

    whole: int
    places: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, group: Group, whole: int, at_once: int, ahead: int = 0) -> Share | None:
        """Returns the share of a batch of `whole` images that this process has; None for all.

        Args:
            group: the processes.
            whole: images of the batch.
            at_once: of a piece; the last one may have fewer.
            ahead: how many come before those of each piece, from the batch's end for the first.
        """
        return None if group.size == 1 else share_of(group.place, whole, at_once, ahead)

    @property
    def sizes(self) -> list[int]:
        """How many images go through the model with each piece, without those ahead."""
        return [count or STAND_INS for count in self.counts]


@lru_cache(maxsize=4)  # an epoch has batches of two sizes
def share_of(place: Place, whole: int, at_once: int, ahead: int) -> Share:
    """Returns the share of a batch that this process of several has; see `Share.of`."""
    places, counts, group = [], [], Group(place)
    for start in range(0, whole, at_once):
        own = group.rows(min(at_once, whole - start))
        counts.append(len(own))
        if own:
            places.append(torch.arange(start + own.start - ahead, start + own.stop) % whole)
        else:
            places.append(torch.full((STAND_INS + ahead,), start))
    return Share(whole, places[0] if len(places) == 1 else torch.cat(places), tuple(counts))


def cut(rows: Tensor, share: Share | None) -> Tensor:
    """Returns the rows of a batch that are this process's."""
    if share is None:
        return rows
    return rows[share.places.to(rows.device, non_blocking=True)]  # without a wait for the device


def without_ahead(rows: Tensor, share: Share) -> Tensor:
    """Returns a process's rows of a batch without those that come ahead in each piece, if any."""
    ahead = (len(rows) - sum(share.sizes)) // len(share.sizes)
    if not ahead:
        return rows
    pieces = rows.split([ahead + size for size in share.sizes])
    return torch.cat([piece[ahead:] for piece in pieces]) if len(pieces) > 1 else rows[ahead:]
