"""The training itself of `mlrun train --epochs 1` on digits, with everything imported.

From settings to the tested weights, with nothing logged: data, model, epoch and evaluations.
"""

from __future__ import annotations

import json
import time

from mlrun.preparing.prepared import ready
from mlrun.settings.plan import plan_of
from mlrun.training.loop import fit


def training() -> float:
    """Returns the seconds of one training."""
    started = time.perf_counter()
    with ready(plan_of({"epochs": 1, "visualisers": "none"})) as prepared:
        inputs = prepared.inputs
        fit(prepared.state, inputs.batches, inputs.procedure, evaluate=inputs.evaluate)
        prepared.evaluate(prepared.model, "test")
    return time.perf_counter() - started


training()  # the first has imports to do
print(json.dumps({"seconds": training()}))
