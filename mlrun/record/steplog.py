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
    """Records and logs loss, accuracy and learning rate of every n-th step, as `step/loss`, ….

    The figures stay on the device until some seconds' worth have come together, so that no
    step waits for them.

    state: of the training whose steps these are.
    every: steps between two entries; 0 for none.
    """

    tracker: Tracker
    state: TrainingState
    every: int
    pending: list[Entry] = field(default_factory=list)
    flushed: float = field(default_factory=time.monotonic)

    def add(self, loss: Tensor, hits: Tensor, count: int) -> None:
        """Takes the figures of the step that the state has reached, of `count` examples."""
        step, rates = self.state.step, self.state.optimiser.param_groups
        if not self.every or step % self.every:
            return
        now, lr = time.time_ns() // 1_000_000, float(rates[0]["lr"])
        self.pending.append(Entry(step, now, lr, loss, hits / count))
        if time.monotonic() - self.flushed > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Records and logs what has come together."""
        self.flushed = time.monotonic()
        if not self.pending:
            return
        losses = torch.stack([entry.loss for entry in self.pending]).tolist()
        accuracies = torch.stack([entry.accuracy for entry in self.pending]).tolist()
        for entry, loss, accuracy in zip(self.pending, losses, accuracies, strict=True):
            figures = {"step/loss": loss, "step/accuracy": accuracy, "step/lr": entry.lr}
            self.state.record_step(entry.step, figures)
            self.tracker.metrics(figures, entry.step, entry.time)
        self.pending.clear()
