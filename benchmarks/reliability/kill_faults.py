"""A run that is killed at random moments, and resumed until it is finished."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from mlflow import MlflowClient

from benchmarks.reliability.contents import Contents, contents
from benchmarks.reliability.stage import Outcome, Scale, Stage, Training

# all that is drawn at random in a training, in epochs that a kill seldom falls between
OPTIONS = [
    *("--model", "lenet", "--dataset", "photographs", "--dataset.size", "16"),
    *("--epochs", "5", "--batch-size", "4"),
    *("--mixup", "0.2", "--ema", "0.99", "--rotate", "10", "--schedule", "cosine"),
    *("--log-every", "10", "--checkpoint-every", "9steps"),
    *("--visualisers", "weights,weight-statistics"),
    *("--threads", "1", "--device", "cpu", "--quiet"),
]
AGAIN = 0.3  # how likely a run that was resumed is killed again


@dataclass(frozen=True)
class Undisturbed:
    """What an undisturbed run leaves, and how many seconds it takes from its opening on."""

    contents: Contents
    seconds: float


_made = threading.Lock()
_undisturbed: dict[tuple[str, str], Undisturbed] = {}


def killed_and_resumed(stage: Stage) -> Outcome:
    """A run that is killed at a random moment, some more than once; `mlrun resume` finishes it."""
    undisturbed = undisturbed_beside(stage, started)
    uri, draws = stage.sqlite(), random.Random(stage.folder.name)
    training = started(stage, uri)
    run_id = opened(stage, training)
    time.sleep(draws.uniform(0, undisturbed.seconds))
    training.kill()
    said = []
    while MlflowClient(uri).get_run(run_id).info.status != "FINISHED" or left(stage, run_id):
        command = [sys.executable, "-m", "mlrun", "resume", run_id, "--quiet"]
        training = stage.start(command, stage.environment(uri))
        if draws.random() < AGAIN:
            time.sleep(draws.uniform(0, 2 * undisturbed.seconds))
            training.kill()
        elif training.end():
            break
        said += [f"(resume) {line}" for line in training.lines()]
    stage.undisturbed = undisturbed.contents
    outcome = stage.outcome(training, uri, run_id, 0)
    return Outcome(-9, said, outcome.lost, outcome.doubled, outcome.wrong)


def started(stage: Stage, uri: str) -> Training:
    """Starts a run."""
    command = [sys.executable, "-m", "mlrun", "train", *OPTIONS]
    return stage.start(command, stage.environment(uri))


def opened(stage: Stage, training: Training) -> str:
    """Waits until a run is opened, and returns its id."""
    stage.wait_for(lambda: any(stage.home.glob("runs/*/journal.jsonl")) or training.is_over())
    return next(stage.home.glob("runs/*")).name


def left(stage: Stage, run_id: str) -> bool:
    """Whether the run's journal is there: it may have events that the store has not."""
    return (stage.home / "runs" / run_id).exists()


def undisturbed_beside(stage: Stage, start: Callable[[Stage, str], Training]) -> Undisturbed:
    """Returns what an undisturbed run leaves; it is run once for the folder that a stage is in.

    Args:
        stage: of a run that is to be disturbed.
        start: starts a run in a stage, on a store.
    """
    folder = stage.folder.parent
    key = str(folder), getattr(start, "__qualname__", repr(start))
    with _made:
        if key not in _undisturbed:
            place = Path(mkdtemp(prefix="undisturbed-", dir=folder))
            other = Stage(place, stage.store, None, Scale())
            uri = other.sqlite()
            training = start(other, uri)
            run_id = opened(other, training)
            began = time.monotonic()
            if training.end():
                raise RuntimeError(f"an undisturbed run failed: {training.lines()[-5:]}")
            seconds = time.monotonic() - began
            _undisturbed[key] = Undisturbed(contents(uri, run_id), seconds)
        return _undisturbed[key]
