"""The callback that logs figures by optimiser step, where they are asked for."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, NamedTuple

from mlrun.record.tracking import Tracker
from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally

SECONDS = 2.0  # how long figures may stay on the device before it is waited for


class Entry(NamedTuple):
    """One step; `place` in its epoch, from 0, and `time` in milliseconds since 1970."""

    step: int
    place: int
    time: int
    lr: float


class LogSteps(Callback):
    """Records and logs loss, accuracy and learning rate of every n-th step, as `step/loss`, ….

    The figures stay on the device until some seconds' worth have come together, so that no
    step waits for them.

    Args:
        tracker: of the run.
        every: steps between two entries, at least 1.
    """

    def __init__(self, tracker: Tracker, every: int) -> None:
        self._tracker, self._every = tracker, every
        self._tally = Tally()  # of the epoch whose entries are pending
        self._pending: list[Entry] = []
        self._flushed = time.monotonic()

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Takes the state whose steps these are."""
        self._state = state

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        """Takes the last step in `tally`, which the state has reached."""
        if state.step % self._every:
            return
        self._tally = tally
        lr = float(state.optimiser.param_groups[0]["lr"])
        place = len(tally.sizes) - 1
        self._pending.append(Entry(state.step, place, time.time_ns() // 1_000_000, lr))
        if time.monotonic() - self._flushed > SECONDS:
            self._flush()

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Logs what is left of the epoch."""
        self._flush()

    def state_dict(self) -> dict[str, Any]:
        """Logs what has come together, so that what is saved has it; needs nothing to go on."""
        self._flush()
        return {}

    def close(self) -> None:
        """Logs what is left of an epoch that was broken off."""
        with suppress(Exception):  # of a device that no longer answers
            self._flush()

    def _flush(self) -> None:
        """Records and logs what has come together."""
        self._flushed = time.monotonic()
        if not self._pending:
            return
        places = [entry.place for entry in self._pending]
        losses = self._tally.losses()[places].tolist()
        accuracies = self._tally.accuracies(places)
        for entry, loss, accuracy in zip(self._pending, losses, accuracies, strict=True):
            metrics = {"step/loss": loss, "step/accuracy": accuracy, "step/lr": entry.lr}
            self._state.record_step(entry.step, metrics)
            self._tracker.metrics(metrics, entry.step, entry.time)
        self._pending.clear()
