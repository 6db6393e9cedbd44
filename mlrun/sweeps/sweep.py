"""`mlrun sweep`: a study, its parent run in MLflow, and workers that run its trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlrun.errors import MlrunError
from mlrun.finished.register import register
from mlrun.record import opening, store
from mlrun.record.lookup import answering, open_store
from mlrun.record.presence import look_after
from mlrun.running.progress import Progress
from mlrun.sweeps import study as studies
from mlrun.sweeps.crew import Crew
from mlrun.sweeps.family import Family, lasting
from mlrun.sweeps.outcome import Outcome, check_registered, end_dead_children, log, outcome_of
from mlrun.sweeps.request import Request
from mlrun.sweeps.study import PARENT
from mlrun.sweeps.trial import STUDY_TAG
from mlrun.sweeps.worker import DEADLINE

STORAGE = "MLRUN_SWEEP_STORAGE"  # the variable for the address of studies, which may hold a secret
SWEEP = "MLRUN_SWEEP"  # the variable of a worker: the study of the sweep that started it


@dataclass(frozen=True)
class Terms:
    """How a sweep is run.

    storage: the address of its study; None for the default. name: of the study; None by what is
        asked for. trials: in all; None for as many as there are by default.
    minutes: after which no trial is begun; 0 for any time. workers: processes.
    register: the name to register the best run's model under; None for no registration.
    command: starts a worker of the study whose name is given.
    """

    command: Callable[[str], Sequence[str]]
    storage: str | None = None
    name: str | None = None
    trials: int | None = None
    minutes: float = 0.0
    workers: int = 1
    register: str | None = None


def sweep(request: Request, terms: Terms, progress: Progress) -> Outcome:
    """Runs the trials of a sweep that are not finished, and returns what it came to.

    A sweep that was interrupted, or asks for more trials, goes on in its study and parent run.

    Raises:
        MlrunError: something is wrong, and nothing was begun; or the sweep is going on elsewhere.
        RunFailed: its parent run ended FAILED.
        KeyboardInterrupt: it was interrupted, and its parent and all runs ended KILLED.
    """
    check_registered(request, terms.register)
    opening.check_store(request.corner.settings.experiment)
    url = terms.storage or studies.default_storage()
    name = terms.name or request.study_name(store.public(store.address()))
    storage = studies.open_storage(url)
    with studies.lock_of(url):
        made = studies.create(storage, name, request)
        total = studies.queue(made, request, terms.trials)
    study, request = studies.load(storage, name)
    progress.note(f"study {name} of {total} trials; more workers: mlrun sweep --join {name}")
    family = family_of(request, name, progress)
    parent = study.user_attrs.get(PARENT)
    if parent is not None:
        status = status_of(parent, name)
        outcome = outcome_of(study, request, parent)
        if status == "FINISHED" and not outcome.left:
            progress.note("all of them were finished before; for more give --trials")
            return registered(outcome, terms.register, progress)
    with lasting(family):
        if parent is None:
            parent = family.open()
            study.set_user_attr(PARENT, parent)
        else:
            family.reopen(parent)
        if outcome_of(study, request, parent).left:
            run_workers(terms, url, name, progress, died=lambda: studies.reap(study, url))
            studies.reap(study, url)
        end_dead_children(parent)
        outcome = outcome_of(study, request, parent)
        log(outcome, study, family.tracker)
        if outcome.left and not terms.minutes:
            raise MlrunError(f"its workers ended early; {outcome.summary}")
        if outcome.best is None and not outcome.left:
            raise MlrunError(f"no trial is finished; {outcome.summary}")
    return registered(outcome, terms.register, progress)


def family_of(request: Request, name: str, progress: Progress) -> Family:
    """Returns the parent of the trials' runs, which says what they have in common."""
    plan, names = request.corner, [dimension.name for dimension in request.space.dimensions]
    title = plan.settings.run_name or plan.dataset.title
    common = plan.settings.model_copy(update={"run_name": title})
    return Family(
        "sweep",
        replace(plan, settings=common),
        f"sweep of {', '.join(names)}",
        varied=names,
        tags={STUDY_TAG: name},
        progress=progress,
        onward="the same command",
    )


def join(name: str, terms: Terms, progress: Progress) -> None:
    """Adds workers to a sweep that is going on, and returns when it has no more trials for them."""
    url = terms.storage or studies.default_storage()
    study, _ = studies.load(studies.open_storage(url), name)
    run_workers(terms, url, name, progress, died=lambda: studies.reap(study, url))


def run_workers(
    terms: Terms, url: str, name: str, progress: Progress, *, died: Callable[[], None]
) -> None:
    """Runs the workers of a study on this machine until all have ended."""
    environment: Mapping[str, str] = {STORAGE: url, SWEEP: name}
    if terms.minutes:
        environment = {**environment, DEADLINE: str(time.time() + 60 * terms.minutes)}
    Crew(terms.command(name), environment, progress).run(terms.workers, died)


def status_of(parent: str, name: str) -> str:
    """Returns the status of a sweep's parent run.

    Raises:
        MlrunError: the sweep is going on, or the store in use does not have the run.
    """
    client = open_store()
    with answering():
        run, presence = look_after(client, client.get_run(parent))
    if presence is not None and not presence.is_gone:
        raise MlrunError(
            f"study {name} is going on, in run {parent}; add workers with: mlrun sweep --join "
            f"{name}"
        )
    status: str = run.info.status
    return status


def registered(outcome: Outcome, name: str | None, progress: Progress) -> Outcome:
    """Registers the best run's model as the champion, if a name is given; returns the outcome."""
    if name is not None and outcome.best is not None:
        result = register(outcome.best_run, name, "champion")
        progress.note(f"registered: {result.address}, version {result.version}")
    return outcome
