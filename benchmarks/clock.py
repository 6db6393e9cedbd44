"""Progress objects that tell the time of a run of mlrun."""

from __future__ import annotations

import time
from collections.abc import Mapping

from benchmarks.turns import Turn


class Clock:
    """Notes when each epoch ended, and how long its steps took.

    ends: `time.perf_counter()` at the end of epoch 0 (before training), 1, …
    seconds: of the steps of epoch 1, 2, …, as mlrun logs them.
    """

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.seconds: list[float] = []
        self.examples = 0.0

    def note(self, text: str) -> None:
        """Does nothing."""

    warn = note

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Does nothing."""

    def step(self, *told: object) -> None:
        """Does nothing."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Takes the time."""
        self.ends.append(time.perf_counter())
        if "epoch_seconds" in metrics:
            self.seconds.append(metrics["epoch_seconds"])
            self.examples += metrics["epoch_seconds"] * metrics["examples_per_second"]

    def finish(self) -> None:
        """Does nothing."""


class InTurns(Clock):
    """Tells the time of the steps, less that of other processes' turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = Turn()
        self.away = 0.0

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Waits for the first turn."""
        self.turn.wait()

    def step(self, *told: object) -> None:
        """Waits for the next turn where this one has lasted."""
        self.away += self.turn.spent()

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Takes the time."""
        super().epoch(epoch, metrics)
        if self.seconds:
            self.seconds[-1] -= self.away
        self.away = 0.0
