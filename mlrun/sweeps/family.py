"""A family: one parent run in MLflow, and the runs under it, its children, one level deep."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from mlrun.errors import RunFailed, contained, one_line
from mlrun.machine import interrupts
from mlrun.machine.interrupts import undisturbed
from mlrun.machine.launcher import outlived_by_none
from mlrun.record import opening
from mlrun.record.beginning import SETTINGS_TAG, digest
from mlrun.record.families import FAMILY_TAG, MEMBER_TAG, ONWARD_TAG
from mlrun.record.onward import SETTINGS
from mlrun.record.reopening import reopen_run
from mlrun.record.tracking import IMPATIENT, Status, Tracker
from mlrun.record.trust import trust_paths
from mlrun.running.membership import Membership
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.running.session import INTERRUPTED, SHORT
from mlrun.running.train import train
from mlrun.settings.plan import Plan
from mlrun.version import __version__


class Family:
    """A parent run in MLflow, which trains nothing, and the runs under it.

    It is opened with the first of them, once that one's checks are made: what is wrong with the
    settings or the data is said before any run is there. Like any run it lasts as long as its
    process holds the lock on its folder.

    Args:
        kind: what the runs under it are: `seeds`, `folds`, `sweep`.
        plan: what they have in common. The parent keeps it as `settings.yaml`, and all of it but
            `varied` as params.
        name: what stands behind the plan's name in that of the parent: `5 seeds`.
        varied: the settings in which they differ.
        tags: of the parent, besides.
        progress: who is told how it is getting on.
        onward: the command that goes on with all of them; `mlrun resume` with its id by default.

    Attributes:
        plan: as given.
    """

    def __init__(
        self,
        kind: str,
        plan: Plan,
        name: str,
        *,
        varied: Collection[str] = (),
        tags: Mapping[str, str] | None = None,
        progress: Progress,
        onward: str = "",
    ) -> None:
        self.kind, self.plan, self.name, self.progress = kind, plan, name, progress
        self._varied, self._tags = set(varied), dict(tags or {})
        if onward:
            self._tags[ONWARD_TAG] = onward
        self._tracker: Tracker | None = None
        self._member, self._ended, self._onward = "", False, onward

    @property
    def tracker(self) -> Tracker:
        """Takes what is logged of the parent; which must be open."""
        assert self._tracker is not None
        return self._tracker

    @property
    def run_id(self) -> str:
        """The id of the parent; which must be open."""
        return self.tracker.run_id

    def open(self) -> str:
        """Opens the parent, unless it is open, and returns its id.

        Raises:
            MlrunError: as `open_run` says.
        """
        if self._tracker is None:
            with undisturbed():
                plan, settings = self.plan, self.plan.recipe()
                tags = {
                    **self._tags,
                    FAMILY_TAG: self.kind,
                    "mlrun.version": __version__,
                    SETTINGS_TAG: digest(settings),
                }
                name = f"{plan.run_name} · {self.name}"
                self._tracker = opening.open_run(name, plan.settings.experiment, tags)
                self.tracker.artifact(SETTINGS, settings)
                trust_paths(self.run_id, plan)
                params = plan.params()
                self.tracker.params({n: params[n] for n in params if n not in self._varied})
            self.progress.note(f"run {name}: {self.tracker.link}")
        return self.run_id

    def reopen(self, run_id: str) -> None:
        """Opens a parent again that ended, whatever its children are; raises MlrunError."""
        with undisturbed():
            self._tracker = reopen_run(run_id)
        self.progress.note(f"run {self.tracker.run_name}: {self.tracker.link}")

    def train(self, member: str, plan: Plan, tags: Mapping[str, str] | None = None) -> Run:
        """Trains one run under the parent, and returns it finished.

        Args:
            member: which it is, `seed 3` say: at the end of its name, and its tag `mlrun.member`.
            plan: of that run.
            tags: of that run, besides.

        Raises:
            MlrunError, RunFailed, KeyboardInterrupt: as `train` says.
        """
        self.begin(member)
        name = f"{self.plan.run_name} · {member}"
        membership = Membership(self.open, name, {**(tags or {}), MEMBER_TAG: member})
        return train(plan, progress=self.progress, membership=membership)

    def begin(self, member: str) -> None:
        """Has what goes wrong from now on be told as that of this member."""
        self._member = member

    def end(self, status: Status, reason: str = "") -> None:
        """Ends the parent, once; what the store does not take now stays on disk."""
        if self._tracker is None or self._ended:
            return
        wait = self.plan.settings.sync_wait
        if status != "FINISHED":
            wait = min(wait, SHORT if interrupts.count() < 2 else IMPATIENT)
        with undisturbed():
            self._ended = True
            self.tracker.close(status, reason, wait)
            self.tracker.settle()
        if status != "FINISHED":
            self.progress.note(f"run {self.run_id} ended {status}: {reason}")
            onward = self._onward or f"mlrun resume {self.run_id}"
            self.progress.note(f"go on with all of them with: {onward}")
        if self.tracker.left:
            self.progress.warn(
                f"{self.tracker.left} events of the run are not in the tracking store yet "
                f"({self.tracker.reason}); they are kept, send them with: mlrun sync {self.run_id}"
            )
        if self.tracker.lost:
            self.progress.warn(
                f"{self.tracker.lost} events of the run could be neither kept nor sent"
            )

    def failed(self, error: Exception) -> RunFailed | None:
        """Ends the parent as FAILED, and returns what is to be raised; None unless it is open."""
        if self._tracker is None or self._ended:
            return None
        reason = f"{self._member}: {one_line(error)}" if self._member else one_line(error)
        self.end("FAILED", reason)
        return RunFailed(f"run {self.run_id} failed: {reason}", self.run_id)


@contextmanager
def lasting(family: Family) -> Iterator[Family]:
    """Has a family last as long as the block, at the end of which the parent has its end.

    It is FINISHED if the block comes to its end; KILLED by an interrupt, and FAILED by whatever
    else leaves it, with the reason. A run under it that failed, and is to be passed over, is the
    block's to catch.

    Raises:
        MlrunError: something was wrong before the parent was opened.
        RunFailed: the parent ended FAILED.
        KeyboardInterrupt: the parent ended KILLED.
    """
    with interrupts.heeded(), outlived_by_none():
        try:
            with contained():
                yield family
                interrupts.check()
            family.end("FINISHED")
        except KeyboardInterrupt as error:
            family.end("KILLED", str(error) or INTERRUPTED)
            raise
        except Exception as error:
            failed = family.failed(error)
            if failed is None:
                raise
            raise failed from error
