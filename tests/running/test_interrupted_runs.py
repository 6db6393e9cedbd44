"""mlrun.train: a run that is interrupted, while it is opened and while it trains, ends KILLED."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from runs import artifacts, heed_interrupts, only_run, steps

COMMAND = [sys.executable, "-m", "mlrun", "train", "--visualisers", "none", "--log-model", "false"]


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "terminated", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_is_killed_and_keeps_what_it_had(
    store: str, sent: signal.Signals, code: int, word: str
) -> None:
    options = ["--epochs", "100000", "--threads", "1"]
    process = subprocess.Popen(
        [*COMMAND, *options], stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(sent)
    time.sleep(0.02)
    process.send_signal(sent)  # as somebody impatient does; the run is ended all the same
    _, rest = process.communicate(timeout=120)
    assert process.returncode == code
    assert rest.splitlines()[-1] == f"Error: {word}"
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.status"] == "KILLED"
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
    assert run.data.tags["mlrun.reason"] == f"{word} ({sent.name})"


@contextmanager
def being_read(database: Path) -> Iterator[None]:
    """An SQLite file in which others may begin to write, and cannot commit before the end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs").fetchall()
        yield
