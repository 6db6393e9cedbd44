"""A run while it lasts: opened in MLflow, trained, tested, and ended in one of its states."""

from __future__ import annotations

import traceback
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import torch

from mlrun.errors import RunFailed, one_line, redact
from mlrun.machine.interrupts import undisturbed
from mlrun.preparing.features import Features, features_of
from mlrun.preparing.prepared import Prepared
from mlrun.record.evaluations import evaluation_tag, predictions_file
from mlrun.record.failures import failure_tag
from mlrun.record.folders import run_folder
from mlrun.record.per_class import per_class
from mlrun.record.tracking import Status, Tracker
from mlrun.running.description import (
    CONTEXTS,
    Description,
    evaluated_on,
    example_batch,
    servable_requirements,
)
from mlrun.running.gallery import Gallery
from mlrun.running.listener import RunListener
from mlrun.running.progress import Progress
from mlrun.running.reporting import PAGE, account_of, log_report
from mlrun.running.run import Run
from mlrun.running.step_log import StepLog
from mlrun.running.system_metrics import SystemMetrics
from mlrun.settings.changes import Variant
from mlrun.settings.plan import Plan
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.evaluation import Evaluation
from mlrun.training.loop import TrainingFailed, fit
from mlrun.training.servable import Servable
from mlrun.training.state import TrainingState

INTERRUPTED = "interrupted (SIGINT)"


@dataclass
class Session:
    """A run while it lasts: opened in MLflow, and ended there in one of its states."""

    plan: Plan
    prepared: Prepared
    tracker: Tracker
    progress: Progress | None

    def __post_init__(self) -> None:
        settings = self.plan.settings
        self.report_link = ""
        folder = run_folder(self.tracker.run_id)
        self.gallery = Gallery(self.plan, self.prepared, self.tracker, folder, self.say)
        self.steps = StepLog(self.tracker, self.prepared.state, settings.log_every)
        self.tracker.on_trouble(self.warn_of_trouble)
        self.checkpoints = Checkpoints(
            folder,
            settings.keep,
            settings.monitor,
            about=self.prepared.about,
        )

    def run(self, description: Description) -> Run:
        """Logs what the run is, trains, and ends it; returns the finished run."""
        try:
            return self.finish(*self.train(description))
        except KeyboardInterrupt as error:
            self.end("KILLED", str(error) or INTERRUPTED)
            self.say(f"run {self.tracker.run_id} ended after {self.prepared.state.epoch} epochs")
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
            if self.progress is not None:
                self.progress.finish()

    def train(self, description: Description) -> tuple[int, dict[str, float]]:
        """Trains, tests the best weights and logs them; returns their epoch, and the figures."""
        settings, state = self.plan.settings, self.prepared.state
        self.describe(description)
        features = self.frozen_features() if settings.cache_features else None
        prepared = self.prepared if features is None else features.instead_of_images(self.prepared)
        listener = self.listener(features or self.prepared)
        if self.progress is not None:
            batches = prepared.train
            self.progress.start(prepared.procedure.steps, len(batches), batches.examples)
        with SystemMetrics(self.tracker) if settings.system_metrics else nullcontext():
            listener.before_training(state)
            fit(state, prepared.train, prepared.procedure, listener)
            self.tell_end(state, features)
            best = self.checkpoints.best_epoch
            self.checkpoints.load_best(state.evaluated)
            metrics = {name: pairs[-1][1] for name, pairs in state.history.items()}
            found, figures = self.test(state, best)
        if settings.log_model:
            self.log_model(state)
        self.gallery.finish()
        if settings.report and self.plan.visualisers:
            self.report(best, found, figures)
        self.tracker.show(self.gallery.album, state.epoch)
        return best, metrics | figures

    def frozen_features(self) -> Features | None:
        """Returns the features of a frozen part, computed and told, if there is one."""
        features = features_of(self.prepared, say=self.say)
        if features is not None:
            self.tracker.tags({"mlrun.frozen_features": features.tag})
        return features

    def listener(self, judging: Prepared | Features) -> RunListener:
        """Returns who follows the training; `judging` evaluates the model between epochs."""
        return RunListener(
            self.plan.settings,
            self.prepared.procedure.steps,
            judging.evaluate,
            self.tracker,
            self.steps,
            self.checkpoints,
            self.gallery,
            self.progress,
        )

    def tell_end(self, state: TrainingState, features: Features | None) -> None:
        """Logs what the training came to: the final weights, time saved, why it stopped early."""
        self.tracker.tags({"mlrun.weights_sha256": digest(state.model.state_dict())})
        if features is not None:
            self.tracker.metrics({"frozen_seconds_saved": features.saved}, state.epoch)
            self.say(features.summary)
        if state.stopped:
            self.tracker.tags({"mlrun.stopped": state.stopped})
            self.say(f"stopped after epoch {state.epoch}, step {state.step}: {state.stopped}")

    def describe(self, description: Description) -> None:
        """Logs what is known before anything is trained."""
        tracker = self.tracker
        tracker.params(self.plan.params())
        tracker.inputs(description.inputs)
        self.description = description
        for name, content in description.files.items():
            tracker.artifact(name, content)
        self.say(f"run {tracker.run_name}: {tracker.link}")

    def test(self, state: TrainingState, best: int) -> tuple[Evaluation, dict[str, float]]:
        """Evaluates the test part and its variants on the best weights; draws the final pictures.

        Returns what the weights say of the part as it is, and the figures of it and the variants.

        Where there is no test part, the pictures and the table by class are of the validation
        part, whose figures are logged already.
        """
        part = "test" if "test" in self.prepared.parts else "val"
        found = self.prepared.evaluate(state.evaluated, part)
        self.tracker.table("per-class", per_class(found.arrays, self.prepared.data.classes))
        metrics = {}
        if part == "test":
            metrics = self.log_test(found, best, Variant())
            for variant in map(Variant.parse, self.plan.settings.test_variants):
                again = self.prepared.evaluate(state.evaluated, variant.called(part))
                metrics |= self.log_test(again, best, variant)
        else:
            self.log_predictions(found, part, Variant())
        self.gallery.draw_end(state, best, found)
        return found, metrics

    def log_test(self, found: Evaluation, best: int, variant: Variant) -> dict[str, float]:
        """Logs an evaluation of the test part, changed as `variant` says; returns its figures."""
        metrics = found.figures()
        self.tracker.metrics(metrics, best)
        self.log_predictions(found, "test", variant)
        self.say(
            f"{found.part} (best weights, epoch {best}): loss {found.loss:.4f}, "
            f"accuracy {found.accuracy:.4f}"
        )
        return metrics

    def log_predictions(self, found: Evaluation, part: str, variant: Variant) -> None:
        """Logs the logits of a part, changed as `variant` says, and what decides them."""
        self.tracker.artifact(predictions_file(found.part), found.arrays.archive())
        self.tracker.tags({evaluation_tag(found.part): self.evaluated_on(part, variant)})

    def evaluated_on(self, part: str, variant: Variant) -> str:
        """Returns what decides the figures of a part, changed as `variant` says."""
        settings, inputs = self.plan.settings, self.description.inputs
        (digest,) = (given.digest for given in inputs if given.context == CONTEXTS[part])
        return evaluated_on(part, settings.dataset, digest, variant, settings.seed)

    def report(self, best: int, found: Evaluation, figures: dict[str, float]) -> None:
        """Logs the page of the run; one that cannot be made costs only that."""
        try:
            told = account_of(
                self.plan,
                self.prepared,
                self.tracker,
                self.gallery,
                best=best,
                figures=figures,
                predictions=found.arrays,
                evaluated_on=self.evaluated_on(found.part, Variant()),
                tags=self.description.tags,
            )
            log_report(self.tracker, told)
            self.report_link = f"{self.tracker.link}/artifacts/{PAGE}"
        except Exception as error:
            self.fail("report", error)

    def fail(self, what: str, error: Exception) -> None:
        """Files what was lost without ending the run; called where the error is handled."""
        self.gallery.failures[what] = one_line(error)
        trace = redact(traceback.format_exc())
        self.tracker.artifact(f"failures/{what.replace(' ', '-')}.txt", trace)
        self.tracker.tags({failure_tag(what): one_line(error)})

    def log_model(self, state: TrainingState) -> None:
        """Logs the best weights as a servable model; a model that cannot be exported costs that."""
        try:
            servable = Servable(self.prepared.normalisation, state.evaluated)
            example = example_batch(self.prepared)
            with torch.no_grad():
                output = servable(torch.from_numpy(example)).numpy()
            self.tracker.model(servable, example, output, servable_requirements())
        except Exception as error:
            self.fail("servable model", error)

    def finish(self, best: int, metrics: dict[str, float]) -> Run:
        """Ends the run as FINISHED and returns it.

        Raises:
            RunFailed: the store did not take everything.
        """
        tracker = self.tracker
        self.end("FINISHED", "")
        if tracker.lost:
            raise RunFailed(f"run {tracker.run_id}: {self.lost_reason()}", tracker.run_id)
        refused = {f"log of {event.name}": reason for event, reason in tracker.refused}
        return Run(
            run_id=tracker.run_id,
            experiment_id=tracker.experiment_id,
            name=tracker.run_name,
            best_epoch=best,
            best_weights=f"runs:/{tracker.run_id}/checkpoints/{self.checkpoints.path(best).name}",
            metrics=metrics,
            failures={**self.gallery.failures, **refused},
            link=tracker.link,
            comparison_link=tracker.comparison_link,
            report_link=self.report_link,
        )

    def end(self, status: Status, reason: str) -> None:
        """Logs what is left, ends the run, and clears its folder if nothing was lost."""
        tracker = self.tracker
        with undisturbed():
            self.gallery.finish()
            with suppress(Exception):  # of a device that no longer answers
                self.steps.flush()
            for path in self.checkpoints.files():
                tracker.artifact(f"checkpoints/{path.name}", path)
            if self.checkpoints.ranking:
                tracker.tags({"mlrun.best_epoch": str(self.checkpoints.best_epoch)})
            if reason:
                tracker.tags({"mlrun.reason": reason})
            tracker.close(status)
            if not tracker.lost:
                self.checkpoints.clear()
            elif status != "FINISHED":
                self.say(self.lost_reason())

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
        if self.progress is not None:
            self.progress.warn(f"the tracking store fails, and is tried again ({reason})")

    def say(self, text: str) -> None:
        """Tells the user one line."""
        if self.progress is not None:
            self.progress.note(text)
