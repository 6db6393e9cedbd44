"""A run while it lasts: opened in MLflow, trained, tested, and ended in one of its states."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from traceback import format_exception

from mlrun.errors import RunFailed, contained, one_line, redact
from mlrun.machine import interrupts
from mlrun.machine.interrupts import Interrupted, undisturbed
from mlrun.machine.shortages import Shortage, shortage
from mlrun.preparing.features import features_of
from mlrun.record.beginning import Beginning
from mlrun.record.leftovers import Leftovers
from mlrun.record.onward import SETTINGS
from mlrun.record.saved import has_state
from mlrun.record.tracking import IMPATIENT, RecordFailed, Status
from mlrun.running.blame import with_name
from mlrun.running.callback_list import LogFrozenFeatures, make_callbacks, make_pictures
from mlrun.running.context import RunContext, Start
from mlrun.running.data_log import log_data_sets
from mlrun.running.outputs import log_results
from mlrun.running.run import Run
from mlrun.running.testing import Test, Tester
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.following import begin_together
from mlrun.training.reports import TrainingFailed

FAILURE = "failure.txt"  # the artifact with the traceback of what ended the run
INTERRUPTED = "interrupted"  # by something else than a signal
PATIENCE = 10.0  # seconds that the end of a run which is cut short waits for pictures, and digests
SHORT = 10.0  # seconds: how long a run that was interrupted, or failed, waits for the store


class Session:
    """A run while it lasts: opened in MLflow, and ended there in one of its states."""

    def __init__(self, context: RunContext, beginning: Beginning) -> None:
        self.beginning = beginning
        self.context, self.tracker, self.progress = context, context.tracker, context.progress
        self.prepared, self.failures = context.prepared, context.failures
        self.report_link, self.ended, self.closed = "", False, False
        self.failed: RunFailed | None = None  # why, from when on it is ended as FAILED
        settings = context.plan.settings
        self.checkpoints = Checkpoints(
            context.folder, settings.keep, settings.monitor, self.prepared.about
        )
        self.pictures = make_pictures(context)
        self.callbacks = make_callbacks(context, self.checkpoints, self.pictures)
        self.callbacks += context.callbacks
        if context.start is not None:
            self.go_on_from(context.start)
        self.leftovers = Leftovers(self.tracker.uri)
        self.tracker.on_trouble(self.warn_of_trouble)

    def go_on_from(self, start: Start) -> None:
        """Puts the checkpoints and the callbacks where they were."""
        for path in start.weights:
            self.context.folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self.context.folder / path.name)
        for callback in self.callbacks:
            state = start.callbacks.get(type(callback).__name__)
            if state:
                callback.load_state_dict(state)

    def run(self) -> Run:
        """Logs what the run is, trains, tests, and ends it; returns the finished run.

        An interrupt passes: `interrupted` is to be called then.
        """
        context = self.context
        try:
            self.log_description()
            self.beginning.over()
            self.leftovers.start()
            self.train()
            test = self.test()
            self.report_link = log_results(self.context, test, self.pictures)
            return self.finish(test)
        except RunFailed:  # it has been ended
            raise
        except BaseException as error:  # of a plugin, SystemExit too
            cause = with_name(error, context.plan)
            if isinstance(cause, KeyboardInterrupt):  # who opened it ends it
                raise
            run_id = self.tracker.run_id
            lost = self.prepared.group.failure(error)
            cause = lost or shortage(error, context.folder) or cause
            known = (TrainingFailed, RecordFailed, Shortage)
            reason = str(cause) if isinstance(cause, known) else one_line(cause)
            told = traceback.format_exc() if lost is None else "".join(format_exception(lost))
            self.tracker.artifact(FAILURE, redact(told))
            if not isinstance(cause, known) and not interrupts.in_step():
                self.save_state()
            self.failed = RunFailed(f"run {run_id} failed: {reason}", run_id)
            self.failed.__cause__ = cause  # where a signal comes before it is raised
            self.end("FAILED", reason)
            raise self.failed from cause
        finally:
            self.progress.finish()

    def log_description(self) -> None:
        """Logs what is known before anything is trained."""
        tracker = self.tracker
        if SETTINGS not in tracker.earlier_files:  # else it has those of the version it began with
            tracker.params(self.context.plan.params())
        self.context.digests.start(partial(log_data_sets, self.context))
        for name, content in self.context.description.files.items():
            if PurePosixPath(name).parts[0] not in tracker.earlier_files:
                tracker.artifact(name, content)
        self.progress.note(f"run {tracker.run_name}: {tracker.link}")
        if self.context.start is not None:
            tracker.tags(self.context.start.tags)
            if FAILURE in tracker.earlier_files:
                tracker.remove(FAILURE)
            self.progress.note(f"goes on from {self.context.start.place}")

    def train(self) -> None:
        """Trains, on features in the images' place where a part is frozen."""
        state, inputs = self.prepared.state, self.prepared.inputs
        begin_together(state)
        if self.context.plan.settings.cache_features:
            features = features_of(self.prepared, report=self.progress.note)
            if features is not None:
                inputs = features.instead_of(inputs)
                self.callbacks.append(LogFrozenFeatures(features, self.tracker, self.progress.note))
        self.context.fit(state, inputs.batches, inputs.procedure, self.callbacks, inputs.evaluate)
        weights = digest(state.model.state_dict())
        self.tracker.tags({"mlrun.weights_sha256": weights, "mlrun.steps": str(state.step)})
        if state.stopped:
            self.tracker.tags({"mlrun.stopped": state.stopped})
            place = f"epoch {state.epoch}, step {state.step}"
            self.progress.note(f"stopped after {place}: {state.stopped}")

    def test(self) -> Test:
        """Tests the best weights, which the evaluated model has from then on."""
        state = self.prepared.state
        self.checkpoints.load_best(state.evaluated)
        test = Tester(self.context).test(state.evaluated, self.checkpoints.best_epoch)
        for callback in self.callbacks:
            callback.on_test_end(state, test.best_epoch, test.tested)
        return test

    def finish(self, test: Test) -> Run:
        """Ends the run as FINISHED and returns it."""
        tracker, history = self.tracker, self.prepared.state.history
        interrupts.check()
        with undisturbed():
            self.close_callbacks(None)
        tracker.check()
        self.end("FINISHED", "")
        interrupts.check()  # one that came while it was ended, which it is
        refused = {f"log of {name}": reason for name, reason in tracker.refused.items()}
        weights = self.checkpoints.path(test.best_epoch).name
        validated = {n: dict(pairs) for n, pairs in history.items() if n.startswith("val/")}
        best = {n: v[test.best_epoch] for n, v in validated.items() if test.best_epoch in v}
        return Run(
            run_id=tracker.run_id,
            experiment_id=tracker.experiment_id,
            name=tracker.run_name,
            best_epoch=test.best_epoch,
            best_weights=f"runs:/{tracker.run_id}/checkpoints/{weights}",
            metrics={name: pairs[-1][1] for name, pairs in history.items()} | test.metrics,
            failures={**self.failures.reasons, **refused},
            unsent=tracker.left,
            strict=self.context.plan.settings.strict,
            link=tracker.link,
            comparison_link=tracker.comparison_link,
            report_link=self.report_link,
            of_best=best | test.metrics,
        )

    def interrupted(self, error: KeyboardInterrupt) -> None:
        """Ends the run as KILLED, unless it has ended already, and says so.

        Raises:
            RunFailed: it had failed, or another process of it, before it was interrupted.
        """
        run = f"run {self.tracker.run_id}"
        if self.failed is not None:
            raise self.failed
        if self.ended:
            self.progress.note(f"{run} had ended before it was interrupted")
            return
        failure = self.prepared.group.failure(error)
        if failure is not None:  # whoever started the processes ends those that are left
            self.end("FAILED", str(failure))
            raise RunFailed(f"{run} failed: {failure}", self.tracker.run_id) from failure
        if error.whole if isinstance(error, Interrupted) else not interrupts.in_step():
            self.save_state()
        self.end("KILLED", str(error) or INTERRUPTED)
        self.progress.note(f"{run} ended after {self.prepared.state.epoch} epochs")

    def save_state(self) -> None:
        """Saves the state of a training that is broken off between two steps."""
        for callback in self.callbacks:
            self.closing("state of the training", callback.on_interrupt, SHORT)

    def end(self, status: Status, reason: str) -> None:
        """Logs what is left, and ends the run; what the store does not take now stays on disk.

        Nothing interrupts it but what it waits for, and that is all a signal does then.
        """
        tracker, wait = self.tracker, self.context.plan.settings.sync_wait
        with undisturbed():
            self.ended = True
            self.leftovers.stop()
            if status != "FINISHED":
                self.close_callbacks(PATIENCE)
                wait = min(wait, SHORT if interrupts.count() < 2 else IMPATIENT)
            tracker.close(status, reason, wait)
            tracker.settle()
        if status != "FINISHED" and has_state(self.context.folder):
            self.progress.note(f"resume it with: mlrun resume {tracker.run_id}")
        elif status == "KILLED":
            self.progress.note(f"begin it again with: mlrun resume {tracker.run_id}")
        if tracker.left:
            self.progress.warn(
                f"{tracker.left} events of the run are not in the tracking store yet "
                f"({tracker.reason}); they are kept, send them with: mlrun sync {tracker.run_id}"
            )
        if tracker.lost:
            self.progress.warn(f"{tracker.lost} events of the run could be neither kept nor sent")

    def close_callbacks(self, wait: float | None) -> None:
        """Logs, once, what callbacks still have, and the data sets.

        Args:
            wait: seconds at most for pictures, and for digests; None for as long as it takes. With
                it, what a signal breaks off is left out, and the rest done.
        """
        if self.closed:
            return
        for callback in self.callbacks:
            callback.patience = wait
        closes = {f"end of {type(one).__name__}": one.close for one in self.callbacks}
        for what, close in closes.items():
            self.closing(what, close, wait)
        self.closing("log of the data sets", partial(self.context.digests.close, wait), wait)
        self.closed = True

    def closing(self, what: str, close: Callable[[], None], wait: float | None) -> None:
        """Calls `close`, and files `what` if it fails; a signal passes where all is waited for."""
        try:
            with contained(), suppress(*([] if wait is None else [KeyboardInterrupt])):
                close()
        except Exception as error:
            self.failures.add(what, error)
            if wait is not None:  # else the run is returned with it
                self.progress.warn(f"{what} failed: {self.failures.reasons[what]}")

    def warn_of_trouble(self, reason: str) -> None:
        """Tells the user that the store fails; called from the tracking thread."""
        self.progress.warn(f"the tracking store fails, and is tried again ({reason})")
