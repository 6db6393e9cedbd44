"""Losses and right predictions of an epoch's steps, counted many steps at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlrun.machine.group import ALONE, Group
from mlrun.machine.interrupts import undisturbed
from mlrun.training.orders import Order

COUNTED_AT_ONCE = 32  # steps; their logits are kept that long


class Answers(NamedTuple):
    """The logits of one step, and the labels they are compared with.

    logits: (n, K), detached, on the device.
    labels, others: int64 (n,); the images' own labels, and those that were mixed in.
    share: of an image's own label, 0–1; the rest is that of the label mixed in.
    """

    logits: Tensor
    labels: Tensor
    others: Tensor
    share: float


class Tally:
    """The losses and right predictions of an epoch's steps, on the device until they are read.

    They are counted many steps at a time. That takes three small operations out of each step,
    and keeps memory unfragmented: a scalar that stays behind after each step would split the memory
    that the step freed.

    Of several processes each counts its own; those of rank 0 have the sums.

    Args:
        group: the processes that train together.

    Attributes:
        sizes: examples of each step, of all processes.
    """

    def __init__(self, group: Group = ALONE) -> None:
        self.group = group
        self.sizes: list[int] = []
        self._waiting: list[tuple[Tensor, Answers]] = []
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []

    def add(self, loss: Tensor, answers: Answers, size: int) -> None:
        """Adds one more step: what its answers add to its mean loss, a detached scalar.

        `size` is how many examples the step has, those of other processes too.
        """
        self.sizes.append(size)
        self._waiting.append((loss, answers))
        if len(self._waiting) == COUNTED_AT_ONCE and not self.group.rank:
            self.count()

    def losses(self) -> Tensor:
        """Returns the mean loss of each step so far, (steps,), on the device."""
        self.count()
        self._losses = [torch.cat(self._losses)]
        return self._losses[0]

    def hits(self) -> Tensor:
        """Returns the number of right predictions of each step so far, (steps,), on the device.

        A prediction for a mixed image counts as much as the share of the predicted label.
        """
        self.count()
        self._hits = [torch.cat(self._hits)]
        return self._hits[0]

    def accuracies(self, places: Sequence[int]) -> list[float]:
        """Returns the accuracy, 0–1, of the steps at `places` (from 0); waits for the device."""
        hits = self.hits()[list(places)].tolist()
        return [right / self.sizes[place] for right, place in zip(hits, places, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Returns what was counted so far, as tensors and plain values."""
        if not self.sizes:
            return {"sizes": []}
        return {"sizes": list(self.sizes), "losses": self.losses(), "hits": self.hits()}

    @classmethod
    def of(cls, state: Mapping[str, Any], device: torch.device, group: Group = ALONE) -> Tally:
        """Returns the tally whose `state_dict` that was, on `device`."""
        tally = cls(group)
        tally.sizes = list(state["sizes"])
        if tally.sizes:
            tally._losses = [state["losses"].to(device)]
            tally._hits = [state["hits"].to(device)]
        return tally

    def count(self) -> None:
        """Counts the steps that wait; where there are several processes, with what they have.

        Rank 0 tells them to; for each other one it is to be called then, and forgets what it sent.
        """
        if not self._waiting:
            return
        losses, hits = [], []
        for _, steps in groupby(self._waiting, lambda step: step[1].logits.shape):
            some, answers = zip(*steps, strict=True)
            losses.append(torch.stack(some))
            hits.append(count_right(answers))
        if self.group.size > 1:
            counts = torch.stack([torch.cat(losses).double(), torch.cat(hits).double()])
            with undisturbed(), self.group.telling(Order.COUNT):
                losses, hits = [[row] for row in self.group.total(counts)]
        if not self.group.rank:
            self._losses += losses
            self._hits += hits
        self._waiting.clear()


def count_right(answers: Sequence[Answers]) -> Tensor:
    """Returns the number of right predictions of steps of one size, (steps,), on the device."""
    logits, labels, others, shares = zip(*answers, strict=True)
    predicted = torch.stack(logits).argmax(2)
    right = (predicted == torch.stack(labels)).sum(1)
    if min(shares) == 1:
        return right
    share = torch.tensor(shares, device=right.device)
    return share * right + (1 - share) * (predicted == torch.stack(others)).sum(1)
