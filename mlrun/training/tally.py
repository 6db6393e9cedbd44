"""What the steps of an epoch came to, counted many steps at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

COUNTED_AT_ONCE = 32  # steps; their logits are kept that long


class Answers(NamedTuple):
    """What the model said in one step, and what it should have said.

    logits: (n, K), detached, on the device.
    labels, others: int64 (n,); the images' own labels, and those that were mixed in.
    share: what an image's own label keeps of it, 0–1.
    """

    logits: Tensor
    labels: Tensor
    others: Tensor
    share: float


class Tally:
    """The losses and right answers of an epoch's steps; they stay on the device until asked for.

    Right answers are counted many steps at a time, which takes three small operations out of
    each step.

    losses: of each step, a scalar on the device: the mean over its examples.
    sizes: examples of each step.
    """

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.sizes: list[int] = []
        self._waiting: list[Answers] = []
        self._counted: list[Tensor] = []

    def add(self, loss: Tensor, answers: Answers) -> None:
        """Takes the mean loss of one more step, detached, and its answers."""
        self.losses.append(loss)
        self.sizes.append(len(answers.labels))
        self._waiting.append(answers)
        if len(self._waiting) == COUNTED_AT_ONCE:
            self._count()

    def hits(self) -> Tensor:
        """Returns the right answers of each step so far, (steps,), on the device.

        Of mixed images an answer is right by the share of the label that it gives.
        """
        self._count()
        self._counted = [torch.cat(self._counted)]
        return self._counted[0]

    def accuracies(self, places: Sequence[int]) -> list[float]:
        """Returns the accuracy, 0–1, of the steps at `places` (from 0); waits for the device."""
        hits = self.hits()[list(places)].tolist()
        return [right / self.sizes[place] for right, place in zip(hits, places, strict=True)]

    def _count(self) -> None:
        """Counts the right answers of the steps that wait."""
        for _, steps in groupby(self._waiting, lambda answers: answers.logits.shape):
            logits, labels, others, shares = zip(*steps, strict=True)
            predicted = torch.stack(logits).argmax(2)
            right = (predicted == torch.stack(labels)).sum(1)
            if min(shares) < 1:
                share = torch.tensor(shares, device=right.device)
                mixed_in = (predicted == torch.stack(others)).sum(1)
                right = share * right + (1 - share) * mixed_in
            self._counted.append(right)
        self._waiting.clear()
