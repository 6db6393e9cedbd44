"""A run of several processes: rank 0 is the run, the others do what it tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace

from torch import nn

from mlrun.data.batches import Batches
from mlrun.errors import LedElsewhere, contained, one_line
from mlrun.machine.group import ALONE, Group
from mlrun.machine.interrupts import led, undisturbed
from mlrun.machine.place import Place, number_of_processes, place_here
from mlrun.preparing.features import Features, features_of
from mlrun.preparing.prepared import Prepared, ready
from mlrun.running.run import Run
from mlrun.settings.plan import Plan, plan_of
from mlrun.training.following import Work, follow
from mlrun.training.orders import Order
from mlrun.training.procedure import Procedure

NOTHING_TO_DO: Mapping[str, object] | None = None  # in place of a run's settings


def for_place(plan: Plan, place: Place) -> Plan:
    """Returns a plan that says how many processes train; raises as `number_of_processes` does."""
    settings = plan.settings
    count = number_of_processes(settings.processes, settings.device, place)
    if count == settings.processes:
        return plan
    return replace(plan, settings=settings.model_copy(update={"processes": count}))


def of_processes(plan: Plan, count: int | None, place: Place) -> Plan:
    """Returns the plan of a run that is taken up, of as many processes as train it now.

    Args:
        plan: of the run.
        count: how many are asked for; None for as many as were started, or else as the run had.
        place: of this process.

    Raises:
        MlrunError: as `for_place`.
    """
    started = place.size if place.launch or place.size > 1 else plan.settings.processes
    settings = plan.settings.model_copy(update={"processes": count or started})
    return for_place(replace(plan, settings=settings), place)


@contextmanager
def joined(place: Place) -> Iterator[Group]:
    """Joins the processes that train one run together, and leaves them afterwards.

    Raises:
        MlrunError: the others did not come, or torch.distributed has another number of them.
    """
    if place.size == 1:
        yield ALONE
        return
    from mlrun.machine.meeting import meeting  # torch is built without it, too

    with meeting(place) as group:
        yield group


@contextmanager
def ready_together(plan: Plan) -> Iterator[Prepared]:
    """Makes a run ready, in all the processes that torchrun started for it; rank 0 calls it.

    See `mlrun.preparing.prepared.ready`. The others leave when the block ends, or before where
    the run is `concluded`.
    """
    with joined(place_here()) as group:
        with group.agreeing():
            group.share(plan.params())
        with ready(plan, group) as prepared:
            try:
                yield prepared
            except BaseException:
                with suppress(Exception):  # one of them has gone before
                    group.tell(Order.LEAVE)
                raise


def concluded(run: Run, group: Group) -> Run:
    """Returns a finished run, once the other processes know of it, too."""
    with group.telling(Order.LEAVE, 1):
        group.share(asdict(run))
    return run


def concluded_before(run: Run) -> Run:
    """Returns a run that was finished before these processes were started, once all know of it."""
    with joined(place_here()) as group:
        with group.agreeing():
            group.share(NOTHING_TO_DO)
        group.share(asdict(run))
    return run


def follow_run() -> Run:
    """Takes part in the run that rank 0 leads; returns it once it is finished.

    Raises:
        LedElsewhere: it did not finish; rank 0 says why, also where it was this process that
            failed; or rank 0 is gone.
        MlrunError: this process failed, and rank 0 does not know.
        KeyboardInterrupt: a signal came, and rank 0 ended the run.
    """
    with undisturbed(), led(), joined(place_here()) as group:
        try:
            with group.agreeing():
                settings = group.share(NOTHING_TO_DO)
                plan = None if settings is None else plan_of(settings)
            if plan is None:
                return Run(**group.share({}))
            with ready(plan, group) as prepared, contained():
                return take_part(plan, prepared, group)
        except LedElsewhere:
            raise
        except Exception as error:
            from mlrun.machine.distributed import is_lost_connection

            if is_lost_connection(error):
                raise LedElsewhere(f"rank 0 is gone ({one_line(error)})") from error
            if group.give_up(error):
                raise LedElsewhere(one_line(error)) from error
            raise


def take_part(plan: Plan, prepared: Prepared, group: Group) -> Run:
    """Does what rank 0 tells until it leaves; returns the finished run."""
    parts = Parts(plan, prepared)
    if not follow(prepared.state, Work(parts.begin, parts.evaluate)):
        raise LedElsewhere("the run did not finish; rank 0 says why")
    return Run(**group.share({}))


class Parts:
    """What a process that follows trains and evaluates with: images, or features of them."""

    def __init__(self, plan: Plan, prepared: Prepared) -> None:
        self._plan, self._prepared = plan, prepared
        self._features: Features | None = None

    def begin(self) -> tuple[Batches, Procedure]:
        """Returns the batches to train on, and how they are trained on."""
        inputs = self._prepared.inputs
        if self._plan.settings.cache_features:
            self._features = features_of(self._prepared, report=lambda text: None)
            if self._features is not None:
                inputs = self._features.instead_of(inputs)
        return inputs.batches, inputs.procedure

    def evaluate(self, model: nn.Module, part: str, features: bool) -> None:
        """Evaluates this process's share of a part."""
        if features and self._features is not None:
            self._features.evaluate_share(model, part)
        else:
            self._prepared.evaluate_share(model, part)
