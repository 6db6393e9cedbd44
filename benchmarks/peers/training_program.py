"""The training itself of `mlrun train --epochs 1` on digits, with everything imported.

From settings to the tested weights, with nothing logged: data, model, epoch and evaluations.
"""

from __future__ import annotations

import json
import time

from mlrun.preparing.prepared import ready
from mlrun.settings.plan import plan_of
from mlrun.training.loop import fit
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally


class Nobody:
    """A listener that does nothing."""

    def after_step(self, state: TrainingState, tally: Tally) -> None:
        """Does nothing."""

    def evaluate(self, state: TrainingState) -> None:
        """Does nothing."""

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Does nothing."""


def training() -> float:
    """Returns the seconds of one training."""
    started = time.perf_counter()
    with ready(plan_of({"epochs": 1, "visualisers": "none"})) as prepared:
        for part in ("train", "val"):
            prepared.evaluate(prepared.model, part)
        fit(prepared.state, prepared.train, prepared.procedure, Nobody())
        for part in ("val", "test"):
            prepared.evaluate(prepared.model, part)
    return time.perf_counter() - started


training()  # the first has imports to do
print(json.dumps({"seconds": training()}))
