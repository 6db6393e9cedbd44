"""Several runs whose models are trained as one, each a run of its own in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlrun.data.batches import Batches
from mlrun.errors import MlrunError, RunFailed, contained
from mlrun.machine import interrupts
from mlrun.machine.devices import check_idle
from mlrun.machine.launcher import outlived_by_none
from mlrun.preparing.prepared import Prepared, prepare, ready
from mlrun.record import opening
from mlrun.record.destination import Search
from mlrun.record.tracking import Tracker
from mlrun.running.description import Description
from mlrun.running.membership import Membership
from mlrun.running.progress import Progress, Silent
from mlrun.running.run import Run
from mlrun.running.train import described, open_at_last, run_session
from mlrun.settings.plan import Plan
from mlrun.training.callbacks import Callback
from mlrun.training.procedure import Procedure
from mlrun.training.reports import Evaluate
from mlrun.training.stacked import Member, fit_together, hindrance, pays
from mlrun.training.state import TrainingState

STACKED_TAG = "mlrun.stacked"  # of a run: how many models were trained as one with its own
MOST = 32  # runs; each lasts within the one before it, and Python's stack ends some time


class Ready(NamedTuple):
    """A run that is ready to start, and its place under its parent."""

    plan: Plan
    prepared: Prepared
    description: Description
    membership: Membership


def train_in_step(
    runs: Sequence[tuple[Plan, Membership]], progress: Progress, *, always: bool = False
) -> list[Run | Exception] | None:
    """Trains several runs as one, step by step; returns each finished, or how it failed.

    Each is opened, evaluated, drawn, saved, tested and ended as it is by itself, and comes to the
    same figures but for rounding. Call it within `shared_data`: their images lie in memory once.

    Args:
        runs: the plan of each, and what it is under its parent; 2 to `MOST`.
        progress: who is told; of the epochs it hears for the first run alone.
        always: whether they are trained as one even if that does not pay. Without it, None is
            returned where it does not or they cannot be: no run was opened, `progress` was told
            why, and they are to be trained one after another.

    Raises:
        MlrunError: something is wrong with one of them, or they cannot be trained as one, `always`;
            no run was opened.
        KeyboardInterrupt: all that were open ended KILLED.
    """
    check_idle()
    plans = [plan for plan, _ in runs]
    if not 2 <= len(plans) <= MOST:
        raise MlrunError(f"as one 2 to {MOST} runs can be trained, not {len(plans)}")
    with interrupts.heeded(), outlived_by_none(), contained():
        search = opening.check_store(plans[0].settings.experiment)
        with ready(plans[0]) as first:
            prepared = [first, *(prepare(plan, first.device) for plan in plans[1:])]
            reason = reason_against(prepared, always=always)
            if reason and always:
                raise MlrunError(f"{len(plans)} runs cannot be trained as one: {reason}")
            if reason:
                progress.note(f"trained one after another: {reason}")
                return None
            waiting = []
            for (plan, membership), one in zip(runs, prepared, strict=True):
                description = described(plan, one, progress)
                description.tags[STACKED_TAG] = str(len(plans))
                waiting.append(Ready(plan, one, description, membership))
            return InStep(waiting, progress, search).run()


def reason_against(prepared: Sequence[Prepared], *, always: bool) -> str:
    """Returns why runs are not trained as one; empty if they are.

    They cannot be; or it does not pay, unless they `always` are.
    """
    count = sum(parameter.numel() for parameter in prepared[0].model.parameters())
    size, device = prepared[0].train.batch_size, prepared[0].device.type
    if not always and not pays(count, size, device):
        return f"models of {count:,} parameters gain nothing as one, by {size} images, on {device}"
    return hindrance([Member(one.state, one.train, one.procedure) for one in prepared])


class InStep:
    """Runs that last one within another: the innermost trains all, and each ends by itself.

    So whatever ends a run by itself ends it here, and leaves the others to go on.

    Args:
        runs: ready to start.
        progress: who is told.
        search: for runs of the experiment, begun already.
    """

    def __init__(self, runs: Sequence[Ready], progress: Progress, search: Search) -> None:
        self._runs, self._progress, self._search = runs, progress, search
        self._members: dict[int, Member] = {}  # by place; those that have come to their training
        self._failures: Mapping[int, Exception] | None = None  # by place, once all are trained
        self._ended: dict[int, Run | Exception] = {}

    def run(self) -> list[Run | Exception]:
        """Trains all; returns how each ended, in order."""
        self._enter(0)
        return [self._ended[place] for place in range(len(self._runs))]

    def _enter(self, place: int) -> None:
        """Has the run at `place` last, and within its training those behind it."""
        plan, prepared, description, membership = self._runs[place]

        def opened() -> Tracker:
            return open_at_last(plan, description, self._search, membership)

        def fit(
            state: TrainingState,
            batches: Batches,
            procedure: Procedure,
            callbacks: Sequence[Callback],
            evaluate: Evaluate | None,
        ) -> None:
            self._members[place] = Member(state, batches, procedure, callbacks, evaluate)
            self._train(place)

        try:
            self._ended[place] = run_session(
                plan,
                prepared,
                description,
                self._progress if not place else NotesOnly(self._progress),
                opened,
                callbacks=membership.callbacks,
                fit=fit,
            )
        except RunFailed as error:
            self._ended[place] = error
        except Exception as error:  # it was not opened
            if not place:
                raise
            self._ended[place] = error
        if self._failures is None:
            self._members.pop(place, None)

    def _train(self, place: int) -> None:
        """Trains the runs from `place` on, and all before them, unless that is done; may raise."""
        if place + 1 < len(self._runs):
            self._enter(place + 1)
        if self._failures is None:  # it is the last one, or those behind it failed before
            places = list(self._members)
            failures = fit_together(list(self._members.values()))
            self._failures = {places[number]: error for number, error in failures.items()}
        if place in self._failures:
            raise self._failures[place]


class NotesOnly(Silent):
    """Passes on what is said, and nothing of how a training gets on: another one shows that."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        """Passes it on."""
        self._progress.note(text)

    def warn(self, text: str) -> None:
        """Passes it on."""
        self._progress.warn(text)
