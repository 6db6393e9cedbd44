"""A process that torchrun started is killed at random moments; torchrun starts all again."""

from __future__ import annotations

import random
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

import psutil
from mlflow import MlflowClient

from benchmarks.reliability.kill_faults import AGAIN, undisturbed_beside
from benchmarks.reliability.stage import Outcome, Stage, Training
from benchmarks.reliability.stores import Skipped

# all that is drawn at random in a training, in epochs that a kill seldom falls between
OPTIONS = [
    *("--model", "lenet", "--dataset", "photographs", "--dataset.size", "16"),
    *("--epochs", "4", "--batch-size", "8"),
    *("--mixup", "0.2", "--ema", "0.99", "--rotate", "10", "--schedule", "cosine"),
    *("--log-every", "10", "--checkpoint-every", "9steps"),
    *("--visualisers", "none", "--log-model", "false"),
    *("--threads", "1", "--device", "cpu", "--quiet"),
]
RESTARTS = 9  # more than there are kills
SPAN = 0.8  # of an undisturbed run's time, in which a process is killed
EARLY = 0.2  # how likely a process is killed before the run is opened
OURS = ("Error: ", "Warning: ", "resume it with: ")  # what mlrun says; torchrun says more


def one_of_two(stage: Stage) -> Outcome:
    """One of two processes under torchrun is killed at a random moment, in some tries again."""
    return killed(stage, 2)


def one_of_four(stage: Stage) -> Outcome:
    """One of four processes under torchrun is killed at a random moment, in some tries again."""
    return killed(stage, 4)


def killed(stage: Stage, processes: int) -> Outcome:
    """Kills one of so many processes, whichever, and has torchrun start all again."""
    start = partial(started, processes=processes)
    undisturbed = undisturbed_beside(stage, start)
    uri, draws = stage.sqlite(), random.Random(stage.folder.name)
    training = start(stage, uri)
    said = []
    try:
        early = draws.random() < EARLY
        stage.wait_for(lambda: training.is_over() or len(workers(training)) == processes)
        if not early:
            stage.wait_for(lambda: training.is_over() or is_opened(stage))
        while not training.is_over():
            time.sleep(draws.uniform(0, SPAN * undisturbed.seconds))
            some = workers(training)
            if not some:  # between two starts, or at the end
                continue
            victim = draws.choice(some)
            with suppress(psutil.Error):  # it has just ended
                said.append(f"(killed) rank {victim.environ()['RANK']}")
                victim.kill()
            if draws.random() >= AGAIN:
                break
            stage.wait_for(partial(is_over_or_new, training, victim, processes))
        code = training.end()
    finally:
        end_all(training)
    if not said:
        raise Skipped("the run was over before a process of it was killed")
    said += [line for line in training.lines() if line.startswith(OURS)]
    runs = [run.info.run_id for run in MlflowClient(uri).search_runs(["0"])]
    if len(runs) != 1:
        return Outcome(code, said, wrong=[f"{len(runs)} runs, {' '.join(runs)}"])
    stage.undisturbed = undisturbed.contents
    return replace(stage.outcome(training, uri, runs[0], code), said=said)


def started(stage: Stage, uri: str, processes: int) -> Training:
    """Starts a run of so many processes with torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    again = f"--max-restarts={RESTARTS}"
    command = [sys.executable, *torchrun, again, "-m", "mlrun", "train", *OPTIONS]
    return stage.start(command, stage.environment(uri))


def is_opened(stage: Stage) -> bool:
    """Whether the run is there."""
    return any(stage.home.glob("runs/*/journal.jsonl"))


def workers(training: Training) -> list[psutil.Process]:
    """Returns the processes that torchrun has started and not ended."""
    with suppress(psutil.Error):
        children = psutil.Process(training.process.pid).children()
        return [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
    return []


def is_over_or_new(training: Training, killed: psutil.Process, processes: int) -> bool:
    """Whether torchrun has ended, or started all processes again since one was killed."""
    there = workers(training)
    new = all(one.create_time() > killed.create_time() for one in there)
    return training.is_over() or (new and len(there) == processes)


def end_all(training: Training) -> None:
    """Ends torchrun, and what is left of its processes."""
    left = workers(training)
    training.kill()
    for process in left:
        with suppress(psutil.Error):
            process.kill()
