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
import json, os, pkgutil, signal, sys
import mlrun
from runs import Recorder

sys.argv[0], (settings, kind, place, sent) = "pytest", json.loads(sys.argv[1])
train, calls = mlrun.train, 0
if ":" in kind:  # the name of a function, of whose calls the n-th is not finished
    owner, _, name = kind.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    function = getattr(owner, name)

    def broken_off(*args, **kwargs):
        global calls
        calls += 1
        if calls == place:
            os.kill(os.getpid(), sent)
        return function(*args, **kwargs)

    setattr(owner, name, broken_off)

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

train(settings, progress=Killed())
"""


def killed(settings: Mapping[str, object], kind: str, place: object, sent: int = 9) -> str:
    """The id of a run to which a signal was sent.

    Args:
        settings: of the run.
        kind: `step`, `epoch` or `note`, as a progress is told; or `module:owner.function`.
        place: the step, the epoch, how the note begins; or the number of the call.
        sent: the signal.
    """
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
