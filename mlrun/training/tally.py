"""Losses and right predictions of an epoch's steps, counted many steps at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

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

    sizes: examples of each step.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._waiting: list[tuple[Tensor, Answers]] = []
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []

    def add(self, loss: Tensor, answers: Answers) -> None:
        """Adds the mean loss of one more step, a detached scalar, and its answers."""
        self.sizes.append(len(answers.labels))
        self._waiting.append((loss, answers))
        if len(self._waiting) == COUNTED_AT_ONCE:
            self._count()

    def losses(self) -> Tensor:
        """Returns the mean loss of each step so far, (steps,), on the device."""
        self._count()
        self._losses = [torch.cat(self._losses)]
        return self._losses[0]

    def hits(self) -> Tensor:
        """Returns the number of right predictions of each step so far, (steps,), on the device.

        A prediction for a mixed image counts as much as the share of the predicted label.
        """
        self._count()
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
    def of(cls, state: Mapping[str, Any], device: torch.device) -> Tally:
        """Returns the tally whose `state_dict` that was, on `device`."""
        tally = cls()
        tally.sizes = list(state["sizes"])
        if tally.sizes:
            tally._losses = [state["losses"].to(device)]
            tally._hits = [state["hits"].to(device)]
        return tally

    def _count(self) -> None:
        """Counts the steps that wait."""
        for _, steps in groupby(self._waiting, lambda step: step[1].logits.shape):
            losses, answers = zip(*steps, strict=True)
            self._losses.append(torch.stack(losses))
            self._hits.append(count_right(answers))
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
