"""One run from start to finish: settings in, an MLflow run out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlrun.errors import MlrunError, RunFailed, contained, one_line
from mlrun.machine import interrupts
from mlrun.machine.calls import Unanswered
from mlrun.machine.devices import check_idle
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.launcher import outlived_by_none
from mlrun.machine.place import place_here, unaware
from mlrun.preparing.prepared import Prepared
from mlrun.preparing.transfer import start_from
from mlrun.record import opening
from mlrun.record.beginning import Beginning
from mlrun.record.destination import Search
from mlrun.record.failures import Failures
from mlrun.record.tracking import Tracker
from mlrun.record.trust import trust_file, trust_paths
from mlrun.running.context import Fit, RunContext, Start
from mlrun.running.data_sets import Digests
from mlrun.running.description import Description, describe_run
from mlrun.running.membership import Membership
from mlrun.running.progress import Progress, Silent
from mlrun.running.repetition import Repetition
from mlrun.running.run import Run
from mlrun.running.session import INTERRUPTED, Session
from mlrun.running.together import concluded, follow_run, for_place, ready_together
from mlrun.seam.files import at_home
from mlrun.settings import Settings
from mlrun.settings.plan import Plan, plan_of
from mlrun.training.callbacks import Callback
from mlrun.training.loop import fit

__all__ = ["Run", "train"]

UNANSWERED = (
    "the tracking store did not answer in time; whether it opened the run is not known: mlrun "
    "doctor tells of it, if so, and how it goes on"
)


def train(
    settings: Settings | Mapping[str, object] | Plan,
    *,
    progress: Progress | None = None,
    repetition: Repetition | None = None,
    membership: Membership | None = None,
) -> Run:
    """Trains one model and logs the run to MLflow; returns when all is logged.

    Args:
        settings: `Settings`, or names and values as on the command line:
            `{"model": "lenet", "dataset": "mnist", "model.dropout": 0.2}`; with a recipe:
            `{"recipe": "digits", "epochs": 2}`. Or a plan that was made of them.
        progress: who is told how it is getting on; nobody by default.
        repetition: what is taken over from another run, which this one repeats.
        membership: of a run that is one of several under a parent.

    Raises:
        MlrunError: something is wrong with the settings, the data or the store; no run was
            opened. Also where another call is at work, in this thread or another.
        RunFailed: the run was opened and ended FAILED.
        KeyboardInterrupt: the run was interrupted and ended KILLED. In the main thread SIGTERM and
            SIGHUP do so as well, unless the caller handles or ignores them.
    """
    shown = progress or Silent()
    check_idle()
    if place_here().rank:
        with interrupts.heeded(), outlived_by_none():
            return follow_run()
    with interrupts.heeded(), outlived_by_none():
        try:
            return prepared_run(settings, shown, repetition, membership)
        except RunFailed:
            raise
        except MlrunError as error:
            opening.end_waiting_run("FAILED", str(error))
            raise
        except KeyboardInterrupt as error:
            opening.end_waiting_run("KILLED", str(error) or INTERRUPTED)
            raise
        except Exception as error:
            opening.end_waiting_run("FAILED", one_line(error))
            raise


def prepared_run(
    settings: Settings | Mapping[str, object] | Plan,
    progress: Progress,
    repetition: Repetition | None,
    membership: Membership | None,
) -> Run:
    """Checks everything, and then trains; see `train`."""
    with contained():
        plan = for_place(plan_of(settings), place_here())
        search = opening.check_store(plan.settings.experiment)
        for text in filter(None, [unaware(), *plan.registry.complaints()]):
            progress.warn(text)
        with ready_together(plan) as prepared:
            if repetition is not None:
                prepared = repetition.applied(prepared)
            begun = repetition.start(prepared) if repetition and repetition.start else None
            description = described(plan, prepared, progress, afresh=begun is None)
            if repetition is not None:
                description.tags.update(repetition.own_tags)
                repetition.begin(plan, prepared, description)
            return run_session(
                plan,
                prepared,
                description,
                progress,
                lambda: open_at_last(plan, description, search, membership),
                begun,
                () if membership is None else membership.callbacks,
            )


def described(
    plan: Plan, prepared: Prepared, progress: Progress, *, afresh: bool = True
) -> Description:
    """Returns the description of a run that is ready to start, with what it starts from in place.

    Args:
        plan: what was asked for.
        prepared: data, model and the state of its training; weights to start from are put into it.
        progress: who is told where they come from.
        afresh: whether the run goes on from no state of its training.

    Raises:
        MlrunError: what it is to start from is not there, or does not fit.
    """
    start = start_from(plan, prepared) if afresh else None
    description = describe_run(plan, prepared)
    for name in plan.settings.plugin:
        trust_file(at_home(name))
    if start is not None:
        description.tags["mlrun.init_from"] = start.tag
        progress.note(str(start))
    return description


def open_at_last(
    plan: Plan, description: Description, search: Search, membership: Membership | None
) -> Tracker:
    """Opens a run that is ready to start: under its parent, if it has one, which may open first."""
    home, tags = plan.settings.experiment, description.tags
    if membership is None:
        return opening.open_run(plan.run_name, home, tags, search)
    parent = membership.parent()
    return opening.open_run(membership.name, home, {**tags, **membership.tags}, parent=parent)


def run_session(
    plan: Plan,
    prepared: Prepared,
    description: Description,
    progress: Progress,
    opened: Callable[[], Tracker],
    start: Start | None = None,
    callbacks: Sequence[Callback] = (),
    fit: Fit = fit,
) -> Run:
    """Opens a run in MLflow and returns it finished; however it goes, it is ended.

    An interrupt while it is opened waits until it is there.

    Args:
        plan: what was asked for.
        prepared: data, model and the state of its training.
        description: what is logged of it.
        progress: who is told how it is getting on.
        opened: opens the run, or opens it again.
        start: what it goes on from; None where it starts afresh.
        callbacks: that follow the training besides the run's own.
        fit: trains.
    """
    session, beginning = None, Beginning(plan.recipe())
    try:
        with undisturbed():
            tracker = opened()
            try:
                trust_paths(tracker.run_id, plan)
                failures = Failures(tracker)
                digests = Digests(prepared.selections)
                context = RunContext(
                    plan,
                    prepared,
                    description,
                    digests,
                    tracker,
                    progress,
                    failures,
                    start,
                    callbacks,
                    fit,
                )
                session = Session(context, beginning)
            except BaseException as error:
                tracker.close("FAILED", one_line(error))
                tracker.settle()
                reason = f"run {tracker.run_id} failed: {one_line(error)}"
                raise RunFailed(reason, tracker.run_id) from error
        return concluded(session.run(), prepared.group)
    except KeyboardInterrupt as error:
        if session is not None:
            session.interrupted(error)
        elif isinstance(error, Unanswered):
            beginning.stays()
            progress.warn(UNANSWERED)
        raise
    finally:
        beginning.over()
