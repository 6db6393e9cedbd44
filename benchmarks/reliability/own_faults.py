"""Faults of our own process, of its state, and of the machine below it."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter

from mlflow import MlflowClient

from benchmarks.reliability.contents import contents, difference
from benchmarks.reliability.file_faults import file_system, fill
from benchmarks.reliability.stage import LATE, LATE_EPOCH, MIDDLE, OPTIONS, Outcome, Stage, Training

SET_CLOCK = """
import time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() + {seconds}
time.time_ns = lambda: now_ns() + {seconds} * 10**9
"""

KILL_SENDER = """
import ctypes, os, pathlib, sys, threading, time

def waits(thread):  # not within a request, with which it would take the store's lock along
    frame = sys._current_frames().get(thread.ident)
    while frame is not None and not frame.f_code.co_filename.endswith("outbox.py"):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "_wait"

home = pathlib.Path(os.environ["MLRUN_HOME"])
while not any(path.stat().st_size for path in home.glob("runs/*/answers.jsonl")):
    time.sleep(0.05)  # until the store has a part of the run
for thread in threading.enumerate():
    if thread.name == "mlrun-outbox":
        while not waits(thread):
            time.sleep(0.01)
        identity, error = ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, error)
        thread.join(30)
"""


def state_disk_full(stage: Stage) -> Outcome:
    """The disk of the state folder, full from the middle on; the run fails, and says why."""
    uri = stage.sqlite()
    with file_system(stage.home, "16m"):
        training = stage.train(uri)
        run_id = training.reach(MIDDLE)
        fill(stage.home)
        code = training.end()
        return failed(training, uri, run_id, code, "disk full")


def sender_dies(stage: Stage) -> Outcome:
    """The thread that sends events ends in the middle; the run fails, and keeps all until then."""
    uri = stage.sqlite()
    (stage.gates / f"{MIDDLE}.py").write_text(KILL_SENDER)
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    code = training.end()
    return failed(training, uri, run_id, code, "the thread that sends events ended")


def failed(training: Training, uri: str, run_id: str, code: int, why: str) -> Outcome:
    """Says what is wrong with a run that could not go on, in state, reason, words and figures."""
    run = MlflowClient(uri).get_run(run_id)
    reason, said = run.data.tags.get("mlrun.reason", ""), training.lines()
    wrong = [] if code == 1 else [f"exit code {code}, not 1"]
    wrong += [] if run.info.status == "FAILED" else [f"the run is {run.info.status}"]
    wrong += [] if why in reason else [f"its reason is '{reason}'"]
    wrong += [] if len(said) < 10 else [f"{len(said)} lines on stderr"]
    return Outcome(code, said, missing_steps(uri, run_id, MIDDLE), wrong=wrong)


def missing_steps(uri: str, run_id: str, before: int) -> Counter[str]:
    """Returns the steps of the training before a gate that are not in the store."""
    found = {row.step for row in MlflowClient(uri).get_metric_history(run_id, "step/loss")}
    return Counter(f"metric step/loss {step}" for step in range(1, before) if step not in found)


def stopped(stage: Stage) -> Outcome:
    """The run itself, stopped for 60 s in the middle (SIGSTOP)."""
    uri = stage.sqlite()
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    training.go_on(MIDDLE)
    os.killpg(training.process.pid, signal.SIGSTOP)
    stage.sleep(60)
    os.killpg(training.process.pid, signal.SIGCONT)
    return stage.outcome(training, uri, run_id, training.end())


def killed(stage: Stage) -> Outcome:
    """The run itself, killed in the middle while its store is locked; sync sends all."""
    from benchmarks.reliability.file_faults import lock_on

    uri = stage.sqlite()
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    with lock_on(stage.folder / "mlflow.db"):
        training.go_on(MIDDLE)
        training.reach(LATE)
        training.kill()
    done = stage.sync(uri)
    lost = missing_steps(uri, run_id, LATE_EPOCH + 1)  # the last ones wait for their epoch
    wrong = [f"mlrun sync: {done.returncode}: {done.stderr}"] if done.returncode else []
    said = [f"(sync) {line}" for line in [*done.stdout.splitlines(), *done.stderr.splitlines()]]
    return Outcome(training.process.returncode, said, lost, wrong=wrong)


def clock_jumps(stage: Stage) -> Outcome:
    """The clock of the run, set back by two hours in the middle, then on by four."""
    uri = stage.sqlite()
    (stage.gates / f"{MIDDLE}.py").write_text(SET_CLOCK.format(seconds=-7200))
    (stage.gates / f"{LATE}.py").write_text(SET_CLOCK.format(seconds=4 * 3600))
    training = stage.train(uri)
    run_id = training.reach(MIDDLE)
    return stage.outcome(training, uri, run_id, training.end())


TWO = """
import sys
import mlrun.__main__
for _ in range(2):
    try:
        sys.argv = [mlrun.__main__.__file__, "train", *{options!r}, "--sync-wait", "2"]
        mlrun.__main__.main()
    except SystemExit as error:
        print("code", error.code)
"""


def two_runs(stage: Stage) -> Outcome:
    """Two runs in one process, one after the other; a bar before the artifacts falls between."""
    uri = stage.sqlite()
    bar = stage.folder / "mlruns"
    bar.write_text("in the way")
    environment = stage.environment(uri)
    training = stage.start([sys.executable, "-c", TWO.format(options=OPTIONS)], environment)
    run_id = training.reach(MIDDLE)
    training.go_on(MIDDLE, LATE)
    stage.wait_for(lambda: len(list(stage.home.glob("runs/*"))) == 2)
    bar.unlink()
    code = training.end()
    ids = [run.info.run_id for run in MlflowClient(uri).search_runs(["0"])]
    first = stage.outcome(training, uri, run_id, code)
    (other,) = (i for i in ids if i != run_id)
    second = stage.outcome(training, uri, other, code)
    wrong = [*first.wrong, *second.wrong]
    return Outcome(
        code, first.said, first.lost + second.lost, first.doubled + second.doubled, wrong
    )


def eight_starts(stage: Stage) -> Outcome:
    """Eight runs that start at once on a database that is not there yet."""
    uri = f"sqlite:///{stage.folder}/mlflow.db"
    options = ["--visualisers", "none", "--log-model", "false"]
    trainings = [stage.train(uri, *options) for _ in range(8)]
    codes = [training.end() for training in trainings]
    runs = MlflowClient(uri).search_runs(["0"])
    wrong = [f"exit codes {codes}"] if any(codes) else []
    if len(runs) != 8 or any(run.info.status != "FINISHED" for run in runs):
        wrong.append(f"{[run.info.status for run in runs]}")
    kept = [contents(uri, run.info.run_id) for run in runs]
    differ = [difference(one, kept[0]) for one in kept[1:]]
    lost = sum((each.lost for each in differ), Counter[str]())
    doubled = sum((each.extra for each in differ), Counter[str]())
    said = [line for training in trainings for line in training.lines()]
    return Outcome(max(codes), said, lost, doubled, wrong)
