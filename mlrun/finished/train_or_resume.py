"""`mlrun train`: a new run, or one that is taken up in its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.finished.resume import resume
from mlrun.finished.started_again import had, run_in_hand
from mlrun.finished.unfinished import changed_settings, complete, unfinished_like
from mlrun.machine import interrupts
from mlrun.machine.place import place_here
from mlrun.record import opening
from mlrun.record.logged import LoggedRun, find_run
from mlrun.running.progress import Progress, Silent
from mlrun.running.run import Run
from mlrun.running.train import train as train_anew
from mlrun.settings import Settings
from mlrun.settings.plan import Plan, plan_of


def train(
    settings: Settings | Mapping[str, object] | Plan, *, progress: Progress | None = None
) -> Run:
    """Trains one model and logs the run to MLflow; returns when all is logged.

    In processes that torchrun started again, the run that they had before goes on.

    Args:
        settings: `Settings`, or names and values as on the command line:
            `{"model": "lenet", "dataset": "mnist", "model.dropout": 0.2}`; with a recipe:
            `{"recipe": "digits", "epochs": 2}`. Or a plan that was made of them.
        progress: who is told how it is getting on; nobody by default.

    Raises:
        MlrunError: something is wrong with the settings, the data or the store; no run was
            opened. Also where another call is at work, in this thread or another.
        RunFailed: the run was opened and ended FAILED.
        KeyboardInterrupt: the run was interrupted and ended KILLED. In the main thread SIGTERM and
            SIGHUP do so as well, unless the caller handles or ignores them.
    """
    place = place_here()
    if place.launch and not place.rank:
        with interrupts.heeded():
            return train_or_resume(plan_of(settings), progress=progress)
    return train_anew(settings, progress=progress)


def train_or_resume(
    plan: Plan, which: str | None = None, *, progress: Progress | None = None
) -> Run:
    """Goes on with a run of these settings that is not finished, or trains a new one.

    In processes that torchrun started again, it is the run that they had before, and if that is
    finished, nothing more is done.

    Args:
        plan: what was asked for.
        which: `auto` for the last one of the experiment that is not finished, not going on, and
            of the same settings, or for a new run where there is none; else a run's id; None for
            a new one.
        progress: who is told how it is getting on; nobody by default.

    Raises:
        MlrunError: the run that is named has other settings, or cannot be taken up; else as
            `train` and `resume` say.
    """
    shown = progress or Silent()
    before = gone_on_with(plan, shown)
    if before is not None:
        return before
    run = None
    if which is not None:
        run = unfinished_like(plan, shown) if which == "auto" else run_like(plan, which)
    return train_anew(plan, progress=shown) if run is None else taken_up(run, plan, shown)


def gone_on_with(plan: Plan, progress: Progress, **tags: str) -> Run | None:
    """Returns the run that these processes had before they were started again, finished now.

    None where they had none; else as `run_in_hand` and `resume` say.
    """
    run = run_in_hand(plan, progress, **tags)
    if run is None:
        return None
    return had(run, progress) if run.status == "FINISHED" else taken_up(run, plan, progress)


def taken_up(run: LoggedRun, plan: Plan, progress: Progress) -> Run:
    """Goes on with a run of a plan's settings; returns it finished."""
    if os.environ.get("MLFLOW_RUN_ID") not in (None, run.run_id):
        opening.end_waiting_run("KILLED", f"run {run.run_id} goes on in its place")
    settings = plan.settings
    done = resume(
        run.run_id,
        plugins=[Path(name) for name in settings.plugin],
        data_dir=None if settings.is_default("data_dir") else settings.data_dir,
        device=None if settings.device == "auto" else settings.device,
        processes=settings.processes if "processes" in settings.model_fields_set else None,
        progress=progress,
    )
    os.environ.pop("MLFLOW_RUN_ID", None)  # a later run is not this one
    return done


def run_like(plan: Plan, reference: str) -> LoggedRun:
    """Returns the run of that id; raises MlrunError unless it has the settings of the plan."""
    run = complete(find_run(reference), Silent())
    changed = changed_settings(plan, run)
    if changed:
        raise MlrunError(
            f"run {run.run_id} has other settings: {', '.join(changed)}; a run goes on with those "
            "that it has: leave these out, or start a new run"
        )
    return run
