"""One trial of a sweep: a run under the sweep's parent, new, or one that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna import Trial

from mlrun.errors import MlrunError, RunFailed, one_line
from mlrun.finished.resume import resume
from mlrun.record.directly import end_directly
from mlrun.record.events import end_tags
from mlrun.record.experiments import PARENT_TAG
from mlrun.record.families import MEMBER_TAG
from mlrun.record.logged import LoggedRun, find_run
from mlrun.record.lookup import answering, open_store
from mlrun.record.saved import monitored
from mlrun.running.membership import Membership
from mlrun.running.progress import Progress, Silent
from mlrun.running.run import Run
from mlrun.running.train import train
from mlrun.settings.option_values import brief
from mlrun.settings.plan import Plan
from mlrun.sweeps.request import Request
from mlrun.sweeps.samplers import suggested
from mlrun.sweeps.study import PLACE, PROCESS, REASON, RUN, here
from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.state import TrainingState

TRIAL_TAG = "mlrun.trial"  # of a run: the place of its trial, from 1
STUDY_TAG = "mlrun.study"  # of a run, and of the parent: the name of the study
RETRY_TAG = "mlrun.retried_as"  # of a run whose worker died: the run in its place
RETRIES_TAG = "mlrun.retries"  # of that one: the run whose worker died
PRUNED = "pruned"  # why a training ended early
DEAD = "its worker died, and its trial was taken up again in another run"


class FollowTrial(Callback):
    """Reports the monitored metric of each epoch, and stops a training that is pruned.

    monitor: the metric. values: it by epoch. pruned: whether the training was stopped.
    """

    def __init__(self, trial: Trial, monitor: str, *, prunes: bool) -> None:
        self._trial, self.monitor, self._prunes = trial, monitor, prunes
        self.values: dict[int, float] = {}
        self.pruned = False

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Reports the epochs that are done, of a run that goes on."""
        for epoch, value in state.history.get(self.monitor, ()):
            self._report(epoch, value)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Reports the epoch, and has the training end if it is pruned."""
        if epoch.monitored is None:
            return
        self._report(epoch.number, epoch.monitored)
        if self._prunes and epoch.number and not epoch.last and self._trial.should_prune():
            self.pruned, state.stopped = True, PRUNED

    def _report(self, epoch: int, value: float) -> None:
        if epoch and epoch not in self.values:
            self._trial.report(value, epoch)
        self.values[epoch] = value


class Warnings(Silent):
    """A `Progress` of many runs, of which only what the user must not miss is shown."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def warn(self, text: str) -> None:
        """Hands the line on."""
        self._shown.warn(text)


@dataclass
class Objective:
    """Runs trials, one after the other, for Optuna.

    request: what the sweep is asked for. study, parent: its name, and its run in MLflow.
    total: how many trials there are. progress: who is told.
    unopened: how many trials in a row could not open a run.
    """

    request: Request
    study: str
    parent: str
    total: int
    progress: Progress
    unopened: int = 0

    def __call__(self, trial: Trial) -> float:
        """Returns the monitored metric of a trial's best epoch.

        Raises:
            TrialPruned: it was stopped early.
            MlrunError: its run failed, or could not be opened.
            KeyboardInterrupt: it was interrupted.
        """
        again = PROCESS in trial.user_attrs
        trial.set_user_attr(PROCESS, here())
        watch = FollowTrial(trial, self.request.monitor, prunes=self.request.pruner != "none")
        try:
            value, run_id = self.run(trial, watch, again=again)
        except MlrunError as error:
            opened = isinstance(error, RunFailed)
            self.unopened = 0 if opened else self.unopened + 1
            trial.set_user_attr(REASON, one_line(error))
            if isinstance(error, RunFailed):
                trial.set_user_attr(RUN, error.run_id)
            self.progress.warn(f"{self.title(trial)} failed: {error}")
            raise
        self.unopened = 0
        trial.set_user_attr(RUN, run_id)
        epochs = max(watch.values, default=0)
        figure = f"pruned after epoch {epochs}" if watch.pruned else f"{value:.5g}"
        drawn = " ".join(f"{name}={brief(each)}" for name, each in trial.params.items())
        self.progress.note(
            f"{self.title(trial)}: {self.request.monitor} {figure}  {drawn}  run {run_id}"
        )
        if watch.pruned:
            raise optuna.TrialPruned
        return value

    def title(self, trial: Trial) -> str:
        """Returns what a trial is called for the user."""
        return f"trial {trial.user_attrs[PLACE]} of {self.total}"

    def run(self, trial: Trial, watch: FollowTrial, *, again: bool) -> tuple[float, str]:
        """Returns the value of a trial, and the id of its run, which is finished."""
        drawn = self.request.space.draw(lambda dimension: suggested(trial, dimension))
        plan = self.request.plan(drawn)
        place = trial.user_attrs[PLACE]
        before = run_of(self.parent, place) if again else None
        run = None if before is None else self.gone_on(before, plan, watch)
        if before is not None and before.status == "FINISHED":
            return value_of(before, watch), before.run_id
        if run is None:
            run = self.begun(place, plan, watch, before)
        return watch.values[run.best_epoch], run.run_id

    def gone_on(self, before: LoggedRun, plan: Plan, watch: FollowTrial) -> Run | None:
        """Returns the run of a trial that is taken up, finished; None if it cannot go on here."""
        if before.status == "FINISHED":
            return None
        settings = plan.settings
        try:
            return resume(
                before.run_id,
                plugins=[Path(name) for name in settings.plugin],
                data_dir=settings.data_dir,
                device=settings.device,
                progress=Warnings(self.progress),
                callbacks=[watch],
            )
        except RunFailed:
            raise
        except MlrunError as error:
            self.progress.note(f"run {before.run_id} cannot go on here ({error}); begun anew")
            return None

    def begun(self, place: int, plan: Plan, watch: FollowTrial, before: LoggedRun | None) -> Run:
        """Returns a new run of a trial, finished; one that it had before ends and points to it."""
        tags = {TRIAL_TAG: str(place), STUDY_TAG: self.study}
        if before is not None:
            end_dead(before)
            tags[RETRIES_TAG] = before.run_id
        name = f"{plan.run_name} · trial {place}"
        membership = Membership(
            lambda: self.parent, name, {**tags, MEMBER_TAG: f"trial {place}"}, [watch]
        )
        try:
            run = train(plan, progress=Warnings(self.progress), membership=membership)
        except RunFailed as error:
            point(before, error.run_id)
            raise
        point(before, run.run_id)
        return run


def run_of(parent: str, place: int) -> LoggedRun | None:
    """Returns the last run of a trial, by its place; None where it opened none."""
    client = open_store()
    with answering():
        home = client.get_run(parent).info.experiment_id
        tags = {PARENT_TAG: parent, TRIAL_TAG: place}
        found = client.search_runs(
            [home],
            " and ".join(f"tags.`{name}` = '{text}'" for name, text in tags.items()),
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
    return find_run(found[0].info.run_id) if found else None


def value_of(run: LoggedRun, watch: FollowTrial) -> float:
    """Returns the value of a run that was finished before its trial was."""
    with answering():
        watch.values |= monitored(run.client, run.run_id, watch.monitor)
    watch.pruned = run.tags.get("mlrun.stopped") == PRUNED
    return watch.values[run.best_epoch or 0]


def end_dead(run: LoggedRun) -> None:
    """Ends a run as KILLED whose worker died; one that has its end stays as it is."""
    if run.presence is not None:
        end_directly(run.client, run.run_id, "KILLED", end_tags("KILLED", DEAD))


def point(before: LoggedRun | None, run_id: str) -> None:
    """Tags the run that a trial had before with the one in its place."""
    if before is not None:
        with answering():
            before.client.set_tag(before.run_id, RETRY_TAG, run_id)
