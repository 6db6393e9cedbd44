"""Runs that are not finished and not going on, of the same settings as a plan."""

from __future__ import annotations

import os
from collections.abc import Iterator

from mlflow import MlflowClient

from mlrun.errors import MlrunError
from mlrun.record import store
from mlrun.record.experiments import known_experiment
from mlrun.record.families import is_parent
from mlrun.record.logged import OURS, LoggedRun, find_run
from mlrun.record.lookup import answering, open_store
from mlrun.record.reopening import send_rest
from mlrun.running.progress import Progress
from mlrun.settings import Settings
from mlrun.settings.plan import Plan, text_of
from mlrun.settings.run import traits_of

LOOKED_AT = 100  # runs, the newest
UNFINISHED = f"{OURS} and attributes.status != 'FINISHED'"


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
    for run_id in newest(open_store(), settings.experiment, UNFINISHED):
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


def newest(
    client: MlflowClient, experiment: str | None, which: str, *, parents: bool = False
) -> list[str]:
    """Returns the ids of the runs of an experiment that pass MLflow's filter, the newest first.

    They are parents of others, or those that train themselves.
    """
    with answering():
        home = known_experiment(client, experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME"))
        if home is None:
            return []
        found = client.search_runs(
            [home.experiment_id],
            which,
            max_results=LOOKED_AT,
            order_by=["attributes.start_time DESC"],
        )
        return [run.info.run_id for run in found if is_parent(run.data.tags) == parents]


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
