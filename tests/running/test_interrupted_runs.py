"""mlrun.train: a run that is interrupted, while it is opened and while it trains, ends KILLED."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from runs import QUICK, Recorder, artifacts, heed_interrupts, only_run, plugin, steps

import mlrun
from mlrun.machine.exits import KINDS
from mlrun.machine.interrupts import Interrupted
from mlrun.record import outbox
from mlrun.record.leftovers import send, unsent_runs
from mlrun.running import session
from mlrun.training.state import TrainingState

COMMAND = [sys.executable, "-m", "mlrun", "train", "--visualisers", "none", "--log-model", "false"]


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, "hung up", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_is_killed_and_keeps_what_it_had(
    store: str, sent: signal.Signals, code: int, word: str
) -> None:
    options = ["--epochs", "100000", "--threads", "1"]
    with subprocess.Popen(
        [*COMMAND, *options], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("epoch 2/"):
                    break
            process.send_signal(sent)
            time.sleep(0.02)
            process.send_signal(sent)  # as somebody impatient does; the run is ended all the same
            _, rest = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == code
    assert rest.splitlines()[-1] == f"Error: {word}"
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.status"] == "KILLED"
    assert run.data.tags["mlrun.reason"] == f"interrupted ({sent.name})"
    assert steps(run.info.run_id, "val/loss")[:3] == [0, 1, 2]
    assert "last.pt" in artifacts(run.info.run_id, "checkpoints")


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_run_that_is_interrupted_while_it_is_opened_is_killed(
    store: str, home: Path, sent: signal.Signals, code: int, word: str
) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"{store}?timeout=60"}
    with being_read(home / "mlflow.db"):
        process = subprocess.Popen(
            COMMAND, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heed_interrupts
        )
        while not (home / "mlflow.db-journal").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.3)  # from the first row to the commit, which waits for us
        process.send_signal(sent)
        time.sleep(0.1)
    _, told = process.communicate(timeout=120)
    assert process.returncode == code
    assert told.splitlines()[-1] == f"Error: {word}"
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.status"] == "KILLED"
    assert run.data.tags["mlrun.reason"] == f"interrupted ({sent.name})"


MODEL = """
import math
import signal
import time
from torch import nn

class Signalling(nn.Module):
    def __init__(self, shape, classes, signals):
        super().__init__()
        self.layer, self.signals, self.calls = nn.Linear(math.prod(shape), classes), signals, 0

    def forward(self, images):
        self.calls += self.training
        if self.training and self.calls == 3:
            for name in self.signals.split():
                signal.raise_signal(signal.Signals[name])
        return self.layer(images.flatten(1))

def signalling(shape, classes, *, signals: str = "SIGINT"):
    return Signalling(shape, classes, signals)

@mlrun.hookimpl
def register_models(register):
    register(signalling)
"""


class Follower(Recorder):
    """Keeps the number of the last step, and the lines."""

    reached = 0

    def step(self, state: TrainingState, tally: object) -> None:
        self.reached = state.step


def train_with(signals: str, tmp_path: Path, follower: Follower) -> mlrun.Run:
    """Trains a model by which these signals come in the middle of the third step."""
    settings = {**QUICK, "model": "signalling", "model.signals": signals}
    del settings["model.widths"]
    return mlrun.train({**settings, "plugin": plugin(tmp_path, MODEL)}, progress=follower)


@pytest.fixture
def handlers() -> Iterator[dict[int, object]]:
    """The handlers of the signals as in a script by itself, which must be so afterwards."""
    fresh = dict.fromkeys(KINDS, signal.SIG_DFL) | {signal.SIGINT: signal.default_int_handler}
    before = {kind: signal.signal(kind, handler) for kind, handler in fresh.items()}
    yield fresh
    for kind, handler in before.items():
        signal.signal(kind, handler)


@pytest.mark.parametrize("kind", KINDS)
def test_the_library_finishes_the_step_and_puts_the_handlers_back(
    store: str, tmp_path: Path, kind: signal.Signals, handlers: dict[int, object]
) -> None:
    follower = Follower()
    with pytest.raises(Interrupted, match=kind.name) as told:
        train_with(kind.name, tmp_path, follower)
    assert (told.value.whole, follower.reached) == (True, 3)
    assert {kind: signal.getsignal(kind) for kind in KINDS} == handlers
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.reason"] == f"interrupted ({kind.name})"
    assert follower.lines[-1] == f"run {run.info.run_id} ended after 0 epochs"


def test_the_second_time_it_does_not_finish_the_step(
    store: str, tmp_path: Path, handlers: dict[int, object]
) -> None:
    follower = Follower()
    with pytest.raises(Interrupted) as told:
        train_with("SIGINT SIGINT", tmp_path, follower)
    assert (told.value.whole, follower.reached) == (False, 2)
    assert only_run().info.status == "KILLED"


class Locking(Follower):
    """Locks the store at the end of the first epoch, and interrupts the run then and soon after."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self.lock = sqlite3.connect(database, isolation_level=None)

    def epoch(self, number: int, *_: object) -> None:
        if number:
            self.lock.execute("BEGIN EXCLUSIVE")
            main = threading.main_thread().ident
            threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT]).start()
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_the_second_time_nobody_waits_for_the_store(
    store: str, home: Path, monkeypatch: pytest.MonkeyPatch, handlers: dict[int, object]
) -> None:
    monkeypatch.setattr(session, "SHORT", 600.0)
    monkeypatch.setattr(outbox, "LAST_TRY", 600.0)
    locking = Locking(home / "mlflow.db")
    with closing(locking.lock), pytest.raises(Interrupted):
        mlrun.train({**QUICK, "epochs": 9}, progress=locking)
    (folder,) = unsent_runs()
    assert locking.lines[-2].endswith(f"send them with: mlrun sync {folder.name}")
    assert send(folder, 60).left == 0
    assert only_run().info.status == "KILLED"


def test_a_signal_that_is_ignored_stays_so_and_one_that_is_handled_comes_to_its_handler(
    store: str, tmp_path: Path, handlers: dict[int, object]
) -> None:
    came: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    train_with("SIGHUP SIGTERM SIGHUP", tmp_path, Follower())
    assert only_run().info.status == "FINISHED"
    assert came == [signal.SIGTERM]


def test_in_another_thread_signals_are_left_to_the_main_one(store: str, tmp_path: Path) -> None:
    thread = threading.Thread(target=mlrun.train, args=[QUICK])
    thread.start()
    thread.join()
    assert only_run().info.status == "FINISHED"


@contextmanager
def being_read(database: Path) -> Iterator[None]:
    """An SQLite file in which others may begin to write, and cannot commit before the end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        yield
