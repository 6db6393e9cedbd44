"""Patience: how long a figure may go without getting better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass
class Patience:
    """Counts the evaluations since the monitored figure was last better.

    monitor: its name; a loss is better when lower, all else when higher.
    limit: how many evaluations without a better one are too many; 0 for any number.
    threshold: the relative change that counts as better.
    """

    monitor: str
    limit: int
    threshold: float = 0.0
    best: float = math.nan
    waited: int = 0

    def exhausted(self, value: float) -> bool:
        """Takes one more value; returns whether it was the last that is waited for."""
        if math.isnan(self.best) or self.better(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return 0 < self.limit <= self.waited

    def better(self, value: float) -> bool:
        """Whether `value` is better than the best so far by more than the threshold."""
        margin = self.threshold * abs(self.best)  # a model's own loss may be below 0
        if self.monitor.endswith("loss"):
            return value < self.best - margin
        return value > self.best + margin

    def state_dict(self) -> dict[str, Any]:
        """Returns the best value and the number of evaluations since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the state up that `state_dict` put down."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
