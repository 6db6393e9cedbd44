"""`mlrun train --resume`: the run that is taken up in place of a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient

from mlrun.errors import MlrunError
from mlrun.finished.resume import resume
from mlrun.record import opening, store
from mlrun.record.experiments import known_experiment
from mlrun.record.logged import OURS, LoggedRun, find_run
from mlrun.record.lookup import answering, open_store
from mlrun.record.reopening import send_rest
from mlrun.running.progress import Progress, Silent
from mlrun.running.run import Run
from mlrun.running.train import train
from mlrun.settings import Settings
from mlrun.settings.plan import Plan, text_of
from mlrun.settings.run import traits_of

LOOKED_AT = 100  # unfinished runs, the newest
UNFINISHED = f"{OURS} and attributes.status != 'FINISHED'"


def train_or_resume(plan: Plan, which: str, *, progress: Progress | None = None) -> Run:
    """Goes on with a run of these settings that is not finished, or trains a new one.

    Args:
        plan: what was asked for.
        which: `auto` for the last one of the experiment that is not finished, not going on, and
            of the same settings, or for a new run where there is none; else a run's id.
        progress: who is told how it is getting on; nobody by default.

    Raises:
        MlrunError: the run that is named has other settings, or cannot be taken up; else as
            `train` and `resume` say.
    """
    shown = progress or Silent()
    run = unfinished_like(plan, shown) if which == "auto" else run_like(plan, which)
    if run is None:
        return train(plan, progress=shown)
    if os.environ.get("MLFLOW_RUN_ID") not in (None, run.run_id):
        opening.end_waiting_run("KILLED", f"run {run.run_id} goes on in its place")
    settings = plan.settings
    return resume(
        run.run_id,
        plugins=[Path(name) for name in settings.plugin],
        data_dir=None if settings.is_default("data_dir") else settings.data_dir,
        device=None if settings.device == "auto" else settings.device,
        progress=shown,
    )


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


def unfinished_like(plan: Plan, progress: Progress) -> LoggedRun | None:
    """Returns the last run of the same settings that is neither finished nor going on, if any."""
    for number, run in enumerate(unfinished(plan.settings, progress)):
        changed = changed_settings(plan, run)
        if not changed:
            return run
        if not number:
            progress.note(f"not resumed: run {run.run_id}, which has {', '.join(changed)}")
    progress.note("no unfinished run of these settings: a new one is started")
    return None


def unfinished(settings: Settings, progress: Progress) -> Iterator[LoggedRun]:
    """Yields the runs of the experiment that are neither finished nor going on, the newest first.

    One that is on another machine, or of which nobody can tell whether it still lasts, is none.
    """
    if store.first_use(store.address()):
        return
    client = open_store()
    for run_id in ids_of_unfinished(client, settings.experiment):
        run = find_run(run_id)
        if run.presence is None or run.presence.is_gone:
            try:
                run = complete(run, progress)
                run.settings()
            except MlrunError as error:  # of one that was killed before it logged anything, say
                progress.note(f"not resumed: {error}")
                continue
            if run.status != "FINISHED":
                yield run


def ids_of_unfinished(client: MlflowClient, experiment: str | None) -> list[str]:
    """Returns the ids of the runs of an experiment that are not finished, the newest first."""
    with answering():
        home = known_experiment(client, experiment)
        if home is None:
            return []
        runs = client.search_runs(
            [home.experiment_id],
            UNFINISHED,
            max_results=LOOKED_AT,
            order_by=["attributes.start_time DESC"],
        )
        return [run.info.run_id for run in runs]


def complete(run: LoggedRun, progress: Progress) -> LoggedRun:
    """Returns a run whose process is gone once the store has all that it logged."""
    if run.presence is None or not run.presence.unsent:
        return run
    send_rest(run.run_id, progress.warn)
    return find_run(run.run_id)


def changed_settings(plan: Plan, run: LoggedRun) -> list[str]:
    """Returns which settings of a plan are others than those of a run, with the run's values.

    Raises:
        MlrunError: the run's cannot be had.
    """
    settings = run.settings()
    theirs = {name: text_of(v) for name, v in {**settings.flat(), **settings.options}.items()}
    ours = plan.params()
    names = [name for name in {**ours, **theirs} if not traits_of(name).free]
    return [
        f"{name} {theirs.get(name, 'not set')}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]
