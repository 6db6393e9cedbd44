"""A run while it lasts: opened in MLflow, trained, tested, and ended in one of its states."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from mlrun.errors import RunFailed, one_line, redact
from mlrun.machine.interrupts import undisturbed
from mlrun.preparing.features import features_of
from mlrun.preparing.prepared import Prepared
from mlrun.record.folders import run_folder
from mlrun.record.tracking import Status, Tracker
from mlrun.running.callbacks import LogFrozenFeatures, LogMetrics, SaveCheckpoints, ShowProgress
from mlrun.running.description import Description
from mlrun.running.failures import Failures
from mlrun.running.progress import Progress
from mlrun.running.run import Run
from mlrun.running.step_log import LogSteps
from mlrun.running.testing import Test, Tester
from mlrun.settings.plan import Plan
from mlrun.training.callbacks import Callback
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.loop import TrainingFailed, fit

if TYPE_CHECKING:
    from mlrun.running.pictures import Pictures

INTERRUPTED = "interrupted (SIGINT)"


class Session:
    """A run while it lasts: opened in MLflow, and ended there in one of its states."""

    def __init__(
        self,
        plan: Plan,
        prepared: Prepared,
        description: Description,
        tracker: Tracker,
        progress: Progress,
    ) -> None:
        self.plan, self.prepared, self.description = plan, prepared, description
        self.tracker, self.progress = tracker, progress
        self.report_link, self.ended = "", False
        settings, folder = plan.settings, run_folder(tracker.run_id)
        self.failures = Failures(tracker)
        self.checkpoints = Checkpoints(folder, settings.keep, settings.monitor, prepared.about)
        self.callbacks: list[Callback] = [
            LogMetrics(tracker),
            SaveCheckpoints(self.checkpoints, tracker),
            ShowProgress(progress),
        ]
        if settings.log_every:
            self.callbacks.insert(0, LogSteps(tracker, settings.log_every))
        if settings.system_metrics:
            from mlrun.running.system_metrics import LogSystemMetrics

            self.callbacks.append(LogSystemMetrics(tracker))
        self.pictures: Pictures | None = None
        if plan.visualisers:  # they take matplotlib, which a run without pictures does not need
            from mlrun.running.pictures import Pictures

            self.pictures = Pictures(
                plan.visualisers, prepared, tracker, folder, self.failures, progress.note
            )
            self.callbacks.append(self.pictures)
        tracker.on_trouble(self.warn_of_trouble)

    def run(self) -> Run:
        """Logs what the run is, trains, tests, and ends it; returns the finished run."""
        try:
            self.log_description()
            self.train()
            test = self.test()
            self.log_results(test)
            return self.finish(test)
        except KeyboardInterrupt as error:
            self.end("KILLED", str(error) or INTERRUPTED)
            epochs = self.prepared.state.epoch
            self.progress.note(f"run {self.tracker.run_id} ended after {epochs} epochs")
            raise
        except RunFailed:  # it has been ended
            raise
        except (Exception, SystemExit) as error:
            run_id = self.tracker.run_id
            reason = str(error) if isinstance(error, TrainingFailed) else one_line(error)
            self.tracker.artifact("failure.txt", redact(traceback.format_exc()))
            self.end("FAILED", reason)
            raise RunFailed(f"run {run_id} failed: {reason}", run_id) from error
        finally:
            self.progress.finish()

    def log_description(self) -> None:
        """Logs what is known before anything is trained."""
        tracker = self.tracker
        tracker.params(self.plan.params())
        tracker.inputs(self.description.inputs)
        for name, content in self.description.files.items():
            tracker.artifact(name, content)
        self.progress.note(f"run {tracker.run_name}: {tracker.link}")

    def train(self) -> None:
        """Trains, on features in the images' place where a part is frozen."""
        state, inputs = self.prepared.state, self.prepared.inputs
        if self.plan.settings.cache_features:
            features = features_of(self.prepared, say=self.progress.note)
            if features is not None:
                inputs = features.instead_of(inputs)
                self.callbacks.append(LogFrozenFeatures(features, self.tracker, self.progress.note))
        fit(state, inputs.batches, inputs.procedure, self.callbacks, inputs.evaluate)
        self.tracker.tags({"mlrun.weights_sha256": digest(state.model.state_dict())})
        if state.stopped:
            self.tracker.tags({"mlrun.stopped": state.stopped})
            place = f"epoch {state.epoch}, step {state.step}"
            self.progress.note(f"stopped after {place}: {state.stopped}")

    def test(self) -> Test:
        """Tests the best weights, which the evaluated model has from then on."""
        prepared, state = self.prepared, self.prepared.state
        self.checkpoints.load_best(state.evaluated)
        tester = Tester(
            self.plan.settings,
            prepared,
            self.tracker,
            self.description.inputs,
            self.progress.note,
        )
        test = tester.test(state.evaluated, self.checkpoints.best_epoch)
        for callback in self.callbacks:
            callback.on_test_end(state, test.best_epoch, test.tested)
        return test

    def log_results(self, test: Test) -> None:
        """Logs the servable model and the report; one that cannot be made costs only that."""
        settings, state = self.plan.settings, self.prepared.state
        if settings.log_model:
            try:
                from mlrun.running.servable import log_servable

                log_servable(self.tracker, self.prepared, state.evaluated)
            except Exception as error:
                self.failures.add("servable model", error)
        if self.pictures is None:
            return
        self.pictures.close()
        if settings.report:
            try:
                self.report_link = self.log_report(self.pictures, test)
            except Exception as error:
                self.failures.add("report", error)
        self.tracker.show(self.pictures.album.pictures, state.epoch)

    def log_report(self, pictures: Pictures, test: Test) -> str:
        """Logs the page of the run, and returns its address."""
        from mlrun.running.report import account_of, log_report

        account = account_of(
            self.plan,
            self.prepared,
            self.tracker,
            pictures,
            test,
            tags=self.description.tags,
            failures=self.failures.reasons,
        )
        return log_report(self.tracker, account)

    def finish(self, test: Test) -> Run:
        """Ends the run as FINISHED and returns it.

        Raises:
            RunFailed: the store did not take everything.
        """
        tracker, history = self.tracker, self.prepared.state.history
        self.end("FINISHED", "")
        if tracker.lost:
            raise RunFailed(f"run {tracker.run_id}: {self.lost_reason()}", tracker.run_id)
        refused = {f"log of {event.name}": reason for event, reason in tracker.refused}
        weights = self.checkpoints.path(test.best_epoch).name
        return Run(
            run_id=tracker.run_id,
            experiment_id=tracker.experiment_id,
            name=tracker.run_name,
            best_epoch=test.best_epoch,
            best_weights=f"runs:/{tracker.run_id}/checkpoints/{weights}",
            metrics={name: pairs[-1][1] for name, pairs in history.items()} | test.metrics,
            failures={**self.failures.reasons, **refused},
            link=tracker.link,
            comparison_link=tracker.comparison_link,
            report_link=self.report_link,
        )

    def end(self, status: Status, reason: str) -> None:
        """Logs what is left, ends the run, and clears its folder if nothing was lost."""
        tracker, self.ended = self.tracker, True
        with undisturbed():
            for callback in self.callbacks:
                callback.close()
            if reason:
                tracker.tags({"mlrun.reason": reason})
            tracker.close(status)
            if not tracker.lost:
                self.checkpoints.clear()
            elif status != "FINISHED":
                self.progress.note(self.lost_reason())

    def lost_reason(self) -> str:
        """Returns what the tracking store did not take, and where the checkpoints are."""
        lost = self.tracker.lost
        names = sorted({event.name for event, _ in lost})
        return (
            f"{len(lost)} events were not logged ({', '.join(names[:3])}"
            f"{', …' if len(names) > 3 else ''}): {lost[0][1]}; checkpoints are kept in "
            f"{self.checkpoints.folder}"
        )

    def warn_of_trouble(self, reason: str) -> None:
        """Tells the user that the store fails; called from the tracking thread."""
        self.progress.warn(f"the tracking store fails, and is tried again ({reason})")
