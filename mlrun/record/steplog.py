"""Figures by optimiser step, where they are asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mlrun.record.tracking import Tracker
from mlrun.training.state import TrainingState

SECONDS = 2.0  # how long figures may stay on the device before it is waited for


class Entry(NamedTuple):
    """The figures of one step; `time` in milliseconds since 1970, loss and accuracy scalars."""

    step: int
    time: int
    lr: float
    loss: Tensor
    accuracy: Tensor


@dataclass
class StepLog:
    """Logs loss, accuracy and learning rate of every n-th step in the section `step/`.

    The figures stay on the device until some seconds' worth have come together, so that no
    step waits for them.

    every: steps between two entries; 0 for none.
    """

    tracker: Tracker
    every: int
    pending: list[Entry] = field(default_factory=list)
    flushed: float = field(default_factory=time.monotonic)

    def add(self, state: TrainingState, loss: Tensor, hits: Tensor, count: int) -> None:
        """Takes the figures of the step that `state` has reached, of `count` examples."""
        if not self.every or state.step % self.every:
            return
        now, lr = time.time_ns() // 1_000_000, float(state.optimiser.param_groups[0]["lr"])
        self.pending.append(Entry(state.step, now, lr, loss, hits / count))
        if time.monotonic() - self.flushed > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Logs what has come together."""
        self.flushed = time.monotonic()
        if not self.pending:
            return
        losses = torch.stack([entry.loss for entry in self.pending]).tolist()
        accuracies = torch.stack([entry.accuracy for entry in self.pending]).tolist()
        for entry, loss, accuracy in zip(self.pending, losses, accuracies, strict=True):
            figures = {"step/loss": loss, "step/accuracy": accuracy, "step/lr": entry.lr}
            self.tracker.metrics(figures, entry.step, entry.time)
        self.pending.clear()
