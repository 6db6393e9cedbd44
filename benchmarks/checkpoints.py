"""What saving the state of the training costs, by default: of the time of the training.

In short epochs, in which it would be saved at the end of each, and of a large network, whose state
has 134 MB. The state is saved last when the training ends, which is not counted: it is what the run
keeps in MLflow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import mlrun
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import settings_of
from mlrun.running.saving import SaveState
from mlrun.training.state import TrainingState

MOST = 2.0  # per cent of the training's time
LARGE = {
    "model": "torchvision",
    "model.arch": "resnet18",
    "dataset": "photographs",
    "batch_size": 16,
    "lr": 0.001,
}


class Timed:
    """Adds up how long states take to save, but for the last one."""

    def __init__(self) -> None:
        self.seconds = self.trained = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Times the states that are saved in the block."""
        plain = SaveState._save

        def save(saver: SaveState, state: TrainingState, *, always: bool = False) -> None:
            started = time.perf_counter()
            plain(saver, state, always=always)
            self.seconds += 0.0 if always else time.perf_counter() - started
            self.trained = state.seconds

        with patch.object(SaveState, "_save", save):
            yield

    @property
    def share(self) -> float:
        """Per cent of the training's time."""
        return 100 * self.seconds / self.trained


def run(bench: Bench) -> Iterator[Row]:
    """Yields the share of each."""
    short = settings_of("perceptron", bench.data, epochs=3 if bench.quick else 100)
    runs = {
        "a perceptron, epochs of 2,000 images": {**short, "subset": 500 if bench.quick else 2000},
        "ResNet-18, epochs of 96 images": {**LARGE, "epochs": 1 if bench.quick else 40},
    }
    for what, settings in runs.items():
        shares = [share_of(bench, settings) for _ in range(bench.repetitions)]
        yield Row("checkpoints", f"{what}: of its time", shares, most=MOST, unit="%")


def share_of(bench: Bench, settings: dict[str, object]) -> float:
    """Returns the share of one run."""
    quiet = {"visualisers": "none", "log_model": False}
    timed = Timed()
    with own_store(bench), timed.timing():
        mlrun.train({**settings, **quiet})
    return timed.share
