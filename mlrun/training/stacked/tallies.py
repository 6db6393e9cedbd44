"""The tallies of several models' steps, counted together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from mlrun.training.state import TrainingState
from mlrun.training.tally import COUNTED_AT_ONCE, Tally


class StackedTally:
    """The losses and right predictions of an epoch's steps, of K models.

    Args:
        states: of the models' trainings; their tallies are parts of this one until it gives back.
        device: where they are counted.
    """

    def __init__(self, states: Sequence[TrainingState], device: torch.device) -> None:
        self._states, self._device = states, device
        before = [state.tally for state in states]
        self.sizes = list(before[0].sizes)
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._losses: list[Tensor] = []  # (steps, K) each
        self._hits: list[Tensor] = []
        if self.sizes:
            self._losses.append(torch.stack([tally.losses() for tally in before], 1))
            self._hits.append(torch.stack([tally.hits() for tally in before], 1))
        for place, state in enumerate(states):
            state.tally = PartOfTally(self, place)

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds one more step: mean losses (K,), logits (K, B, C), both detached; labels (K, B)."""
        self.sizes.append(labels.shape[1])
        self._waiting.append((losses, logits, labels))
        if len(self._waiting) == COUNTED_AT_ONCE:
            self.count()

    def count(self) -> None:
        """Counts the steps that wait."""
        for _, steps in groupby(self._waiting, lambda step: step[1].shape):
            losses, logits, labels = map(torch.stack, zip(*steps, strict=True))
            self._losses.append(losses)
            self._hits.append((logits.argmax(3) == labels).sum(2))
        self._waiting.clear()

    def give_back(self) -> None:
        """Gives each training a tally of its own again."""
        for state in self._states:
            state.tally = Tally.of(state.tally.state_dict(), self._device)

    def of_one(self, place: int) -> tuple[Tensor, Tensor]:
        """Returns one model's mean losses and right predictions, (steps,) each."""
        self.count()
        self._losses, self._hits = [torch.cat(self._losses)], [torch.cat(self._hits)]
        return self._losses[0][:, place].clone(), self._hits[0][:, place].clone()


class PartOfTally(Tally):
    """The tally of one of the models whose steps are counted together."""

    def __init__(self, whole: StackedTally, place: int) -> None:
        super().__init__()
        self.whole, self.place = whole, place
        self.sizes = whole.sizes

    def count(self) -> None:
        """Counts the steps that wait, of all models."""
        if self.sizes:
            losses, hits = self.whole.of_one(self.place)
            self._losses, self._hits = [losses], [hits]
