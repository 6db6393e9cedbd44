"""Processes that torchrun started again: the run that they had in hand before, which goes on."""

from __future__ import annotations

import math
import os
import time

import psutil

from mlrun.finished.returned import returned
from mlrun.finished.unfinished import changed_settings, complete, newest
from mlrun.machine.place import place_here
from mlrun.record import store
from mlrun.record.logged import OURS, LoggedRun, find_run
from mlrun.record.lookup import open_store
from mlrun.record.presence import LAUNCH_TAG, launch_here
from mlrun.record.reopening import send_rest, still_going_on
from mlrun.record.run_files import Unreadable
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.running.together import concluded_before
from mlrun.settings.plan import Plan

PATIENCE = 60.0  # seconds that the end of a process which is being killed is waited for
_taken: set[str] = set()  # runs that this process had already: a script may train several


def run_in_hand(plan: Plan, progress: Progress, **tags: str) -> LoggedRun | None:
    """Returns the run that these processes had in hand before torchrun started them again.

    None where they had none of these settings, or are started for the first time. It may be
    finished; else nobody is at it. The store has all that it logged.

    Args:
        plan: what is asked for.
        progress: who is told of a run that cannot be taken up.
        tags: that the run has.

    Raises:
        MlrunError: another process is still at it, or the store does not answer.
    """
    launch = launch_here()
    if not launch or store.first_use(store.address()):
        return None
    waiting = os.environ.get("MLFLOW_RUN_ID")
    if waiting is not None:  # its tags may be in its journal alone
        send_rest(waiting, progress.warn)
    wanted = f"{OURS} and tags.`{LAUNCH_TAG}` = '{launch}'"
    for run_id in reversed(newest(open_store(), plan.settings.experiment, wanted)):
        run = find_run(run_id)
        if run_id in _taken or not is_of_earlier_start(run):
            continue
        if any(run.tags.get(name) != text for name, text in tags.items()):
            continue
        try:
            run = complete(left_alone(run), progress)
            changed = changed_settings(plan, run)
        except Unreadable as error:  # it was killed before it logged anything
            progress.note(f"not resumed: {error}")
            continue
        if not changed:
            _taken.add(run_id)
            return run
    return None


def is_of_earlier_start(run: LoggedRun) -> bool:
    """Whether processes of this launch had a run in hand before they were started again.

    An earlier launch may have had the same name; its runs gave no sign of life since this
    one began. Where another host comes, processes are started again, and it is not counted.
    """
    process = psutil.Process()
    agent = process.parent()
    if run.tags.get(LAUNCH_TAG) != launch_here() or agent is None:
        return False
    since, until = 1000 * agent.create_time(), 1000 * process.create_time()
    counted = place_here().restarts > 0 or run.status != "FINISHED"
    return counted and run.started < until and last_sign(run) > since


def last_sign(run: LoggedRun) -> float:
    """Returns the last sign of life of a run, milliseconds since 1970; infinite while it lasts."""
    if run.presence is None:
        return run.ended or run.started
    if run.presence.state == "alive":
        return math.inf
    return run.presence.last or run.started


def left_alone(run: LoggedRun) -> LoggedRun:
    """Returns a run once nobody on this machine is at it any more; raises MlrunError if not."""
    deadline = time.monotonic() + PATIENCE
    while run.presence is not None and run.presence.state == "alive":
        if time.monotonic() > deadline:
            raise still_going_on(run.run_id)
        time.sleep(0.2)
        run = find_run(run.run_id)
    return run


def had(run: LoggedRun, progress: Progress) -> Run:
    """Returns a run that was finished before these processes were started again."""
    progress.note(f"run {run.run_id} was finished before the processes were started again")
    return concluded_before(returned(run))
