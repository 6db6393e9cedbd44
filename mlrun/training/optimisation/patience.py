"""Patience: after how many evaluations without improvement training stops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass
class Patience:
    """Counts the evaluations since the monitored metric last improved.

    monitor: its name; a loss is better when lower, all else when higher.
    limit: evaluations without improvement after which it is exhausted; 0 for never.
    threshold: the relative change that counts as an improvement.
    """

    monitor: str
    limit: int
    threshold: float = 0.0
    best: float = math.nan
    waited: int = 0

    def exhausted(self, value: float) -> bool:
        """Adds the value of one evaluation; returns whether the limit is reached."""
        if math.isnan(self.best) or self.better(value):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return 0 < self.limit <= self.waited

    @property
    def reason(self) -> str:
        """The reason why training stops when the limit is reached."""
        evaluations = f"{self.limit} evaluation{'' if self.limit == 1 else 's'}"
        return f"early stopping: {self.monitor} not better for {evaluations}"

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
        """Restores the state that `state_dict` returned."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
