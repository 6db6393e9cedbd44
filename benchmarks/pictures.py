"""What looking inside costs: a run of LeNet with the default pictures against one without.

Seconds are those of the whole run, from its settings to its end in MLflow: the pictures of each
epoch are rendered beside the training, those of the end and the report count in full.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import mlrun
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import settings_of
from mlrun.settings import Settings

MOST = 15.0  # per cent of the run's time


def run(bench: Bench) -> Iterator[Row]:
    """Yields the share of the pictures."""
    default = ",".join(Settings().visualisers)
    shares = []
    for _ in range(bench.repetitions):
        without, drawn = (seconds(bench, names) for names in ("none", default))
        shares.append(100 * (1 - without / drawn))
    what = "LeNet, the default pictures and the report: of the run's time"
    yield Row("pictures", what, shares, most=MOST, unit="%")


def seconds(bench: Bench, visualisers: str) -> float:
    """Returns how long one run takes."""
    epochs = 1 if bench.quick else 8
    settings = settings_of("lenet", bench.data, epochs=epochs, visualisers=visualisers)
    with own_store(bench):
        mlrun.train({**settings, "epochs": 0, "visualisers": "none"})  # opens the store
        started = time.perf_counter()
        done = mlrun.train({**settings, "log_model": True})
        assert not done.failures, done.failures
        return time.perf_counter() - started
