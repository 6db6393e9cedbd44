"""Losses and right predictions of an epoch's steps, counted many steps at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlrun.machine.interrupts import undisturbed

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

    Attributes:
        sizes: examples of each step.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._waiting: list[tuple[Tensor, Answers | Tensor]] = []
        self._losses: list[Tensor] = []
        self._hits: list[Tensor] = []

    def add(self, loss: Tensor, right: Answers | Tensor, size: int) -> None:
        """Adds one more step.

        Args:
            loss: the mean loss of its examples, a detached scalar.
            right: its answers, or how many of them are right, a scalar.
            size: how many examples it has.
        """
        self.sizes.append(size)
        self._waiting.append((loss, right))
        if len(self._waiting) == COUNTED_AT_ONCE:
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
    def of(cls, state: Mapping[str, Any], device: torch.device) -> Tally:
        """Returns the tally whose `state_dict` that was, on `device`."""
        tally = cls()
        tally.sizes = list(state["sizes"])
        if tally.sizes:
            tally._losses = [state["losses"].to(device)]
            tally._hits = [state["hits"].to(device)]
        return tally

    def count(self) -> None:
        """Counts the steps that wait."""
        with undisturbed():  # a signal finds each of them counted once
            for shape, steps in groupby(self._waiting, lambda step: shape_of(step[1])):
                losses, right = zip(*steps, strict=True)
                self._losses.append(torch.stack(losses))
                self._hits.append(torch.stack(right) if shape is None else count_right(right))
            self._waiting.clear()


def shape_of(right: Answers | Tensor) -> torch.Size | None:
    """Returns the shape of a step's logits; None where they were counted already."""
    return right.logits.shape if isinstance(right, Answers) else None


def count_right(answers: Sequence[Answers]) -> Tensor:
    """Returns the number of right predictions of steps of one size, (steps,), on the device."""
    logits, labels, others, shares = zip(*answers, strict=True)
    predicted = torch.stack(logits).argmax(2)
    right = (predicted == torch.stack(labels)).sum(1)
    if min(shares) == 1:
        return right
    share = torch.tensor(shares, device=right.device)
    return share * right + (1 - share) * (predicted == torch.stack(others)).sum(1)
