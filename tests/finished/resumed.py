"""Runs that are broken off, and the same run as it would have been."""

from __future__ import annotations

import os
import signal

import pytest
from mlflow import MlflowClient
from runs import Recorder, logged

import mlrun
from benchmarks.reliability.contents import contents, difference
from mlrun.training.state import TrainingState

DRAWN: dict[str, object] = {  # all that is drawn by chance, and pictures of each epoch
    "model": "cnn",
    "model.channels": "4",
    "subset": 300,
    "batch_size": 16,
    "epochs": 3,
    "mixup": 0.2,
    "ema": 0.9,
    "rotate": 10,
    "schedule": "cosine",
    "evaluate_every": "10 steps",
    "log_every": 3,
    "checkpoint_every": "4 steps",
    "visualisers": "weights,weight-statistics",
    "keep": 1,
    "threads": 1,
    "device": "cpu",
}


class Interrupts(Recorder):
    """Sends SIGINT to the process at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def step(self, state: TrainingState, tally: object) -> None:
        if state.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def interrupted(settings: dict[str, object], at: int) -> str:
    with pytest.raises(KeyboardInterrupt):
        mlrun.train(settings, progress=Interrupts(at))
    run_id: str = MlflowClient().search_runs(["0"])[0].info.run_id
    return run_id


def same(store: str, run_id: str, whole: str) -> None:
    """Asserts that the store has the same of both runs, but for what a clock decides."""
    differ = difference(*(contents(store, one) for one in (run_id, whole)))
    for things in (differ.lost, differ.extra):  # which differ where pytest is started otherwise
        for thing in [thing for thing in things if "mlflow.source.name" in thing]:
            del things[thing]
    assert (dict(differ.lost), dict(differ.extra)) == ({}, {})
    assert logged(run_id).data.tags["mlrun.weights_sha256"] == weights_of(whole)


def weights_of(run_id: str) -> str:
    digest: str = logged(run_id).data.tags["mlrun.weights_sha256"]
    return digest


BREAKS = """
import os
import torch
import mlrun

class Breaks(torch.nn.Linear):
    def forward(self, images):
        if self.training and os.environ.get("BREAKS"):
            os.environ["BREAKS"] = str(int(os.environ["BREAKS"]) - 1)
            if os.environ["BREAKS"] == "0":
                del os.environ["BREAKS"]
                raise MemoryError("the step did not fit")
        return super().forward(images.flatten(1))

@mlrun.hookimpl
def register_models(register):
    def breaks(shape, classes):
        return Breaks(shape[1] * shape[2], classes)
    register(breaks)
"""
