"""Signals to a run, and processes around it that are stopped or killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace

import psutil
from mlflow import MlflowClient

from benchmarks.reliability.own_faults import missing_steps
from benchmarks.reliability.stage import LATE, MIDDLE, OPTIONS, Outcome, Stage, Training

HEEDED = ["env", "--default-signal=HUP,INT,TERM"]  # which `nohup` and shells have ignored
NOTICED = 10.0  # seconds in which a run notices that its launcher is gone
LAUNCHER = """
import os, subprocess, sys
between = ["sh", "-c", '"$@"; true', "sh", *sys.argv[2:]]
subprocess.run(between, env={**os.environ, "MLFLOW_RUN_ID": sys.argv[1]})
"""


def hung_up(stage: Stage) -> Outcome:
    """SIGHUP in the middle of a step, as of a terminal that is closed; resume finishes the run."""
    return ended_and_resumed(stage, signal.SIGHUP, 1)


def terminated(stage: Stage) -> Outcome:
    """SIGTERM in the middle of a step; resume finishes the run."""
    return ended_and_resumed(stage, signal.SIGTERM, 1)


def terminated_twice(stage: Stage) -> Outcome:
    """SIGTERM twice in the middle of a step, which is broken off; resume finishes the run."""
    return ended_and_resumed(stage, signal.SIGTERM, 2)


def ended_and_resumed(stage: Stage, kind: signal.Signals, times: int) -> Outcome:
    """Ends a run within a step, looks at its end, and has it finished."""
    uri = stage.sqlite()
    training = stage.train(uri, before=HEEDED)
    run_id = training.reach(MIDDLE)
    for _ in range(times):
        training.process.send_signal(kind)
        time.sleep(0.1)
    code = training.end() if times == 1 else training.process.wait(60)  # the gates stay shut
    wrong = wrong_end(uri, run_id, f"interrupted ({kind.name})")
    wrong += [] if code == 128 + kind else [f"exit code {code}"]
    again = resumed(stage, uri, run_id)
    outcome = stage.outcome(again, uri, run_id, again.end())
    return replace(outcome, code=code, said=training.lines(), wrong=[*wrong, *outcome.wrong])


def resumed(stage: Stage, uri: str, run_id: str) -> Training:
    """Starts `mlrun resume`."""
    command = [sys.executable, "-m", "mlrun", "resume", run_id, "--quiet"]
    return stage.start(command, stage.environment(uri))


def wrong_end(uri: str, run_id: str, reason: str) -> list[str]:
    """Returns what is wrong with the end of a run that was to be KILLED for that reason."""
    run = MlflowClient(uri).get_run(run_id)
    found = run.data.tags.get("mlrun.reason", "")
    wrong = [] if run.info.status == "KILLED" else [f"the run is {run.info.status}"]
    return wrong + ([] if found == reason else [f"its reason is '{found}'"])


def launcher_killed(stage: Stage) -> Outcome:
    """The launcher of a run (`mlflow run`), killed in the middle; the run ends by itself."""
    uri = stage.sqlite()
    run_id = MlflowClient(uri).create_run("0").info.run_id
    train = [sys.executable, "-m", "mlrun", "train", *OPTIONS]
    command = [sys.executable, "-c", LAUNCHER, run_id, *train]
    training = stage.start(command, stage.environment(uri))
    training.reach(MIDDLE)
    os.kill(training.process.pid, signal.SIGKILL)
    time.sleep(NOTICED)
    training.go_on(MIDDLE, LATE)
    stage.wait_for(lambda: MlflowClient(uri).get_run(run_id).info.status != "RUNNING")
    reason = "interrupted (mlflow run, which started it, has ended)"
    wrong, lost = wrong_end(uri, run_id, reason), missing_steps(uri, run_id, MIDDLE)
    return Outcome(training.process.wait(60), training.lines(), lost, wrong=wrong)


def renderer_stopped(stage: Stage) -> Outcome:
    """The process that renders pictures, stopped in the middle (SIGSTOP); the run renders them."""
    uri = stage.sqlite()
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    workers = [
        child
        for child in psutil.Process(training.process.pid).children()
        if "mlrun.machine.workers" in " ".join(child.cmdline())
    ]
    for worker in workers:
        worker.suspend()
    outcome = stage.outcome(training, uri, run_id, training.end())
    return outcome if workers else replace(outcome, wrong=[*outcome.wrong, "no such process"])
