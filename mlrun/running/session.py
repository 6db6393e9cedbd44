"""A run while it lasts: opened in MLflow, trained, tested, and ended in one of its states."""

from __future__ import annotations

import traceback

from mlrun.errors import RunFailed, one_line, redact
from mlrun.machine.interrupts import undisturbed
from mlrun.preparing.features import features_of
from mlrun.record.evaluations import evaluation_tag
from mlrun.record.leftovers import Leftovers
from mlrun.record.tracking import RecordFailed, Status, recognised
from mlrun.running.callbacks import LogFrozenFeatures, make_callbacks, make_pictures
from mlrun.running.context import RunContext
from mlrun.running.data_sets import logged_data_sets
from mlrun.running.outputs import log_results
from mlrun.running.run import Run
from mlrun.running.testing import Test, Tester
from mlrun.settings.changes import Variant
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.loop import TrainingFailed, fit

INTERRUPTED = "interrupted (SIGINT)"
PATIENCE = 10.0  # seconds that the end of a run which is cut short waits for its data's digests
SHORT = 10.0  # seconds: how long a run that was interrupted, or failed, waits for the store


class Session:
    """A run while it lasts: opened in MLflow, and ended there in one of its states."""

    def __init__(self, context: RunContext) -> None:
        self.context, self.tracker, self.progress = context, context.tracker, context.progress
        self.prepared, self.failures = context.prepared, context.failures
        self.report_link, self.ended, self.told = "", False, False
        settings = context.plan.settings
        self.checkpoints = Checkpoints(
            context.folder, settings.keep, settings.monitor, self.prepared.about
        )
        self.pictures = make_pictures(context)
        self.callbacks = make_callbacks(context, self.checkpoints, self.pictures)
        self.leftovers = Leftovers(self.tracker.uri)
        self.tracker.on_trouble(self.warn_of_trouble)

    def run(self) -> Run:
        """Logs what the run is, trains, tests, and ends it; returns the finished run."""
        try:
            self.log_description()
            self.leftovers.start()
            self.train()
            test = self.test()
            self.report_link = log_results(self.context, test, self.pictures)
            return self.finish(test)
        except KeyboardInterrupt as error:
            self.end("KILLED", str(error) or INTERRUPTED)
            epochs = self.prepared.state.epoch
            self.progress.note(f"run {self.tracker.run_id} ended after {epochs} epochs")
            raise
        except RunFailed:  # it has been ended
            raise
        except BaseException as error:  # of a plugin, SystemExit too
            run_id = self.tracker.run_id
            cause = recognised(error, self.context.folder)
            known = (TrainingFailed, RecordFailed)
            reason = str(cause) if isinstance(cause, known) else one_line(cause)
            self.tracker.artifact("failure.txt", redact(traceback.format_exc()))
            self.end("FAILED", reason)
            raise RunFailed(f"run {run_id} failed: {reason}", run_id) from cause
        finally:
            self.progress.finish()

    def log_description(self) -> None:
        """Logs what is known before anything is trained."""
        tracker = self.tracker
        tracker.params(self.context.plan.params())
        self.context.digests.start(self.log_data_sets)
        for name, content in self.context.description.files.items():
            tracker.artifact(name, content)
        self.progress.note(f"run {tracker.run_name}: {tracker.link}")

    def log_data_sets(self) -> None:
        """Logs the data sets; called from the thread that digests them."""
        context = self.context
        sets = logged_data_sets(context.plan, context.prepared, context.digests)
        self.tracker.inputs(sets)
        validated = Tester(context).images("val", Variant())
        self.tracker.tags({evaluation_tag("val"): validated})

    def train(self) -> None:
        """Trains, on features in the images' place where a part is frozen."""
        state, inputs = self.prepared.state, self.prepared.inputs
        if self.context.plan.settings.cache_features:
            features = features_of(self.prepared, report=self.progress.note)
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
        state = self.prepared.state
        self.checkpoints.load_best(state.evaluated)
        test = Tester(self.context).test(state.evaluated, self.checkpoints.best_epoch)
        for callback in self.callbacks:
            callback.on_test_end(state, test.best_epoch, test.tested)
        return test

    def finish(self, test: Test) -> Run:
        """Ends the run as FINISHED and returns it."""
        tracker, history = self.tracker, self.prepared.state.history
        with undisturbed():
            self.tell_end(None)
        tracker.check()
        self.end("FINISHED", "")
        refused = {f"log of {name}": reason for name, reason in tracker.refused.items()}
        weights = self.checkpoints.path(test.best_epoch).name
        return Run(
            run_id=tracker.run_id,
            experiment_id=tracker.experiment_id,
            name=tracker.run_name,
            best_epoch=test.best_epoch,
            best_weights=f"runs:/{tracker.run_id}/checkpoints/{weights}",
            metrics={name: pairs[-1][1] for name, pairs in history.items()} | test.metrics,
            failures={**self.failures.reasons, **refused},
            unsent=tracker.left,
            link=tracker.link,
            comparison_link=tracker.comparison_link,
            report_link=self.report_link,
        )

    def end(self, status: Status, reason: str) -> None:
        """Logs what is left, and ends the run; what the store does not take now stays on disk."""
        tracker, self.ended = self.tracker, True
        wait = self.context.plan.settings.sync_wait
        self.leftovers.stop()
        with undisturbed():
            self.tell_end(None if status == "FINISHED" else PATIENCE)
            tracker.close(status, reason, wait if status == "FINISHED" else min(wait, SHORT))
            tracker.settle()
        if tracker.left:
            self.progress.warn(
                f"{tracker.left} events of the run are not in the tracking store yet "
                f"({tracker.reason}); they are kept, send them with: mlrun sync {tracker.run_id}"
            )
        if tracker.lost:
            self.progress.warn(f"{tracker.lost} events of the run could be neither kept nor sent")

    def tell_end(self, wait: float | None) -> None:
        """Logs, once, what callbacks still have, and the data sets; waits for their digests."""
        if self.told:
            return
        self.told = True
        for callback in self.callbacks:
            try:
                callback.close()
            except Exception as error:
                self.failures.add(f"end of {type(callback).__name__}", error)
        try:
            self.context.digests.close(wait)
        except Exception as error:
            self.failures.add("log of the data sets", error)

    def warn_of_trouble(self, reason: str) -> None:
        """Tells the user that the store fails; called from the tracking thread."""
        self.progress.warn(f"the tracking store fails, and is tried again ({reason})")
