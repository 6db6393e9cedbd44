"""The part of a batch that one of several processes has."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlrun.machine.group import Group


class Part(NamedTuple):
    """Which images of a batch those are that one of several processes has.

    whole: how many the batch has. places: theirs in it, int64 (n,), on the CPU.
    """

    whole: int
    places: Tensor

    @classmethod
    def of(cls, group: Group, whole: int, ahead: int) -> Part | None:
        """Returns the part of a batch of `whole` images that this process has; None for all.

        Before it come as many as are `ahead`, from the batch's end for the first one. A process
        that has none takes the first image twice: models are not made for no image at all, and
        one alone batch normalisation refuses.
        """
        if group.size == 1:
            return None
        own = group.rows(whole)
        if not own:
            return cls(whole, torch.zeros(2 + ahead, dtype=torch.int64))
        return cls(whole, torch.arange(own.start - ahead, own.stop) % whole)


def cut(rows: Tensor, part: Part | None) -> Tensor:
    """Returns the rows of a batch that are this process's."""
    return rows if part is None else rows[part.places.to(rows.device)]
