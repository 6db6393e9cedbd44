"""Figures by optimiser step, where they are asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from mlrun.record.tracking import Tracker
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally

SECONDS = 2.0  # how long figures may stay on the device before it is waited for


class Entry(NamedTuple):
    """One step; `place` in its epoch, from 0, and `time` in milliseconds since 1970."""

    step: int
    place: int
    time: int
    lr: float


@dataclass
class StepLog:
    """Records and logs loss, accuracy and learning rate of every n-th step, as `step/loss`, ….

    The figures stay on the device until some seconds' worth have come together, so that no
    step waits for them.

    state: of the training whose steps these are.
    every: steps between two entries; 0 for none.
    tally: of the epoch whose entries are pending.
    """

    tracker: Tracker
    state: TrainingState
    every: int
    tally: Tally = field(default_factory=Tally)
    pending: list[Entry] = field(default_factory=list)
    flushed: float = field(default_factory=time.monotonic)

    def add(self, tally: Tally) -> None:
        """Takes the last step in `tally`, which the state has reached."""
        step = self.state.step
        if not self.every or step % self.every:
            return
        self.tally = tally
        lr = float(self.state.optimiser.param_groups[0]["lr"])
        place = len(tally.sizes) - 1
        self.pending.append(Entry(step, place, time.time_ns() // 1_000_000, lr))
        if time.monotonic() - self.flushed > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Records and logs what has come together; to be called before the epoch ends."""
        self.flushed = time.monotonic()
        if not self.pending:
            return
        places = [entry.place for entry in self.pending]
        losses = self.tally.losses()[places].tolist()
        accuracies = self.tally.accuracies(places)
        for entry, loss, accuracy in zip(self.pending, losses, accuracies, strict=True):
            figures = {"step/loss": loss, "step/accuracy": accuracy, "step/lr": entry.lr}
            self.state.record_step(entry.step, figures)
            self.tracker.metrics(figures, entry.step, entry.time)
        self.pending.clear()
