"""mlrun.train in several threads, and in itself: one run at a time, and the others are told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import QUICK, Recorder, logged, plugin

import mlrun
from mlrun.errors import MlrunError

BUSY = "^another run is at work in this process, .* start this one in another process$"
DROPOUT = {**QUICK, "model": "cnn", "model.dropout": 0.5, "model.channels": "4", "subset": 200}
del DROPOUT["model.widths"]


class Gate(Recorder):
    """Stops a run at the end of its first epoch until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()

    def epoch(self, *_: object) -> None:
        self.reached.set()
        assert self.opened.wait(60)


def weights(run: mlrun.Run) -> str:
    return logged(run.run_id).data.tags["mlrun.weights_sha256"]


def test_a_second_one_is_refused_and_the_first_is_not_touched(store: str) -> None:
    alone = mlrun.train(DROPOUT)
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(mlrun.train, DROPOUT, progress=gate)
        assert gate.reached.wait(60)
        with pytest.raises(MlrunError, match=BUSY):
            mlrun.train(DROPOUT)
        gate.opened.set()
        assert weights(first.result()) == weights(alone)
        assert weights(pool.submit(mlrun.train, DROPOUT).result()) == weights(alone)
    assert weights(mlrun.train(DROPOUT)) == weights(alone)


def test_those_that_start_at_once_are_right_or_refused(store: str) -> None:
    alone = mlrun.train(DROPOUT)
    together = threading.Barrier(4)

    def train() -> str:
        together.wait(60)
        try:
            return weights(mlrun.train(DROPOUT))
        except MlrunError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        ends = [future.result() for future in [pool.submit(train) for _ in range(4)]]
    right = [end for end in ends if end == weights(alone)]
    refused = [end for end in ends if end.startswith("another run is at work")]
    assert right
    assert len(right) + len(refused) == 4
    assert len(MlflowClient().search_runs(["0"])) == 1 + len(right)


NESTED = """
import numpy as np

def nested(view):
    if view.epoch:
        mlrun.train({"model": "logistic", "epochs": 1, "visualisers": "none", "log_model": False})
    yield "grey", np.zeros((4, 4, 3), np.uint8)

@mlrun.hookimpl
def register_visualisers(register):
    register(nested, when="epoch")
"""


def test_in_a_plugin_of_a_run_it_is_refused(store: str, tmp_path: Path) -> None:
    alone = mlrun.train(DROPOUT)
    settings = {**DROPOUT, "plugin": plugin(tmp_path, NESTED), "visualisers": "nested"}
    run = mlrun.train(settings)
    assert weights(run) == weights(alone)
    assert "another run is at work" in run.failures["visualiser nested"]
    assert len(MlflowClient().search_runs(["0"])) == 2
