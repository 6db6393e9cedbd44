"""A worker of a sweep: runs queued trials in this process, until none is left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace

from optuna import Study, Trial
from optuna.trial import TrialState

from mlrun.data.sharing import shared_data
from mlrun.errors import MlrunError
from mlrun.machine import interrupts
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.launcher import outlived_by_none
from mlrun.running.progress import Progress
from mlrun.settings.plain_yaml import plain_of
from mlrun.sweeps.optional import unwarned
from mlrun.sweeps.request import Request
from mlrun.sweeps.study import (
    PARENT,
    PLACE,
    load,
    lock_of,
    open_storage,
    places,
    queue_again,
    reap,
)
from mlrun.sweeps.trial import Objective

LOOKS = 1.0  # seconds between two looks for trials whose workers died
MOST_UNOPENED = 3  # trials in a row that cannot even be begun, after which a worker gives up
DEADLINE = "MLRUN_SWEEP_UNTIL"  # seconds since 1970 after which a worker begins no trial


def work(
    url: str,
    name: str,
    elsewhere: Mapping[str, object],
    progress: Progress,
    *,
    minutes: float = 0.0,
) -> None:
    """Runs trials of a study until all are finished, here or elsewhere, or its time is over.

    The data set is loaded once for all of them.

    Args:
        url: of the database.
        name: of the study.
        elsewhere: settings that are others here: `data_dir`, `device`, `plugin`.
        progress: who is told.
        minutes: after which no trial is begun; 0 for any time, or as who started it says.

    Raises:
        MlrunError: there is no such study, or its trials cannot be begun here.
        KeyboardInterrupt: it was interrupted; its trial was queued again.
    """
    study, request = load(open_storage(url), name)
    request = here_as(request, elsewhere, name)
    objective = Objective(request, name, study.user_attrs[PARENT], len(places(study)), progress)
    until = float(os.environ.get(DEADLINE, "inf"))
    until = min(until, time.time() + 60 * minutes) if minutes else until
    with interrupts.heeded(), outlived_by_none(), shared_data():
        while time.time() < until and objective.unopened < MOST_UNOPENED:
            reap(study, url)
            if study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                run_one(study, objective, url)
            elif study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                time.sleep(LOOKS)  # its worker may die
            else:
                return
    if objective.unopened:
        raise MlrunError(f"{MOST_UNOPENED} trials in a row could not be begun; the worker ends")


def here_as(request: Request, elsewhere: Mapping[str, object], name: str) -> Request:
    """Returns a request as it is on this machine.

    Raises:
        MlrunError: it has plugin files, which are executed, and the user names none.
    """
    if request.given.get("plugin") and not elsewhere.get("plugin"):
        files = ",".join(request.given["plugin"])
        raise MlrunError(
            f"study {name} has plugin files, which are executed; if you trust them, name them "
            f"here: --plugin {files}"
        )
    changes = {key: plain_of(value) for key, value in elsewhere.items() if value}
    return replace(request, given={**request.given, **changes}) if changes else request


def run_one(study: Study, objective: Objective, url: str) -> None:
    """Runs the next queued trial, if no other worker takes it; an interrupted one is queued again.

    On one machine only one worker at a time looks for a trial.
    """
    begun: list[int] = []
    lock = lock_of(url)

    def called(trial: Trial) -> float:
        lock.release()
        if PLACE not in trial.user_attrs:
            raise MlrunError("another machine took the last queued trial")
        begun.append(trial.number)
        return objective(trial)

    lock.acquire()
    try:
        if study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            with unwarned():
                study.optimize(called, n_trials=1, catch=(MlrunError,))
    except KeyboardInterrupt:
        with undisturbed():
            for number in begun:
                trial = study.get_trials(deepcopy=False)[number]
                if trial.state == TrialState.FAIL:
                    queue_again(study, trial)
        raise
    finally:
        lock.release(force=True)
