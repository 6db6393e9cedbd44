"""Runs that are killed (`kill -9`) at a place of their training, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient

PROGRAM = """
import json, os, signal, sys
import mlrun
from runs import Recorder

sys.argv[0], (settings, kind, place, sent) = "pytest", json.loads(sys.argv[1])

class Killed(Recorder):
    def step(self, state, tally):
        self.come("step", state.step)

    def epoch(self, number, metrics):
        self.come("epoch", number)

    def note(self, text):
        self.come("note", text.partition(" ")[0])

    def come(self, *where):
        if where == (kind, place):
            os.kill(os.getpid(), sent)

mlrun.train(settings, progress=Killed())
"""


def killed(settings: Mapping[str, object], kind: str, place: object, sent: int = 9) -> str:
    """The id of a run to which a signal was sent at a step, behind an epoch, or at a note."""
    arguments = json.dumps([settings, kind, place, sent])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (-sent, 1), done.stderr  # 1: a traceback of KeyboardInterrupt
    run = MlflowClient().search_runs(["0"], order_by=["attributes.start_time DESC"])[0]
    run_id: str = run.info.run_id
    return run_id
