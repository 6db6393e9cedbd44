"""Several runs whose command was killed, or was sent a signal, go on; nothing is left RUNNING."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from runs import QUICK, logged

import mlrun

SETTINGS = {**QUICK, "subset": "random:200", "epochs": 4}
OPTIONS = ["train", *(f"--{name}={value}" for name, value in SETTINGS.items())]
PROGRAM = r"""
import os, re, sys
from mlrun.cli import display, main

name, sent = sys.argv.pop(1), int(sys.argv.pop(1))

class Ended(display.Lines):
    at = ""

    def note(self, text):
        self.at = text if re.fullmatch(r"(seed|fold) \S+, \d+ of \d+", text) else self.at
        super().note(text)

    def epoch(self, number, metrics):
        super().epoch(number, metrics)
        if number == 2 and self.at.startswith(name + ", "):
            os.kill(os.getpid(), sent)

display.Lines = Ended
main.main()
"""


def ended(name: str, sent: signal.Signals, *more: str) -> subprocess.CompletedProcess[str]:
    """A command that is sent a signal in the second epoch of its run of that name."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(int(sent)), *OPTIONS, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ,
    )


def statuses() -> list[str]:
    """What `mlrun runs` would say of each run, the oldest first."""
    from mlrun.record.overview import last_runs

    return [row.status for row in reversed(last_runs(10, None))]


def parents() -> list[str]:
    found = MlflowClient().search_runs(["0"], "tags.`mlrun.family` != ''")
    return [run.info.run_id for run in found]


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on_with_what_was_not_finished(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    done = ended("seed 1", signal.SIGKILL, "--seeds", "3")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert statuses() == ["lost", "FINISHED", "lost"]
    (parent,) = parents()
    code, out, _ = command("doctor")
    assert f"its process is gone; go on with: mlrun resume {parent}; end it with" in out
    code, out, err = command("resume", parent)
    assert (code, out) == (0, f"{parent}\n"), err
    assert statuses() == ["FINISHED"] * 4
    alone = mlrun.train({**SETTINGS, "seed": 1})
    query = "tags.`mlrun.member` = 'seed 1'"
    (run,) = MlflowClient().search_runs(["0"], query)
    same = "mlrun.weights_sha256"
    assert run.data.tags[same] == logged(alone.run_id).data.tags[same]


@pytest.mark.slow
def test_what_doctor_ended_goes_on_with_the_same_command(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    ended("fold 2/3", signal.SIGKILL, "--folds", "3")
    assert command("doctor", "--fix")[0] == 0
    assert statuses() == ["FAILED", "FINISHED", "FAILED"]
    code, out, err = command(*OPTIONS, "--folds", "3", "--resume", "auto")
    assert (code, out) == (0, f"{parents()[0]}\n"), err
    assert statuses() == ["FINISHED"] * 4
    assert logged(parents()[0]).data.metrics["out-of-fold/accuracy"] > 0
    assert "nothing is left to be mended" in command("doctor")[2]


@pytest.mark.slow
def test_ctrl_c_ends_the_command_with_its_exit_code_and_the_way_on(store: str) -> None:
    done = ended("seed 0", signal.SIGINT, "--seeds", "2")
    assert done.returncode == 130
    assert statuses() == ["KILLED", "KILLED"]
    (parent,) = parents()
    lines = done.stderr.splitlines()
    assert f"go on with all of them with: mlrun resume {parent}" in lines
    assert lines[-1].startswith("Error: ")
    again = ended("none", signal.SIGINT, "--seeds", "2", "--resume", "auto")
    assert (again.returncode, again.stdout) == (0, f"{parent}\n"), again.stderr
    assert "goes on from " in again.stderr
