"""One run from start to finish: settings in, an MLflow run out."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from mlrun.errors import MlrunError, RunFailed, one_line, redact
from mlrun.gallery import Gallery
from mlrun.plan import Plan, make_plan
from mlrun.preparation import Prepared, prepare
from mlrun.record import opening
from mlrun.record.description import (
    Description,
    describe_run,
    example_batch,
    servable_requirements,
    test_arrays,
)
from mlrun.record.folders import run_folder
from mlrun.record.tracking import Status, Tracker
from mlrun.settings import Settings
from mlrun.signals import undisturbed
from mlrun.training import devices
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.evaluation import evaluate
from mlrun.training.loop import TrainingFailed, TrainingState, fit
from mlrun.training.servable import Servable

INTERRUPTED = "interrupted (SIGINT)"


class Progress(Protocol):
    """Who is told how a run is getting on; every call is cheap and may be ignored."""

    def note(self, text: str) -> None:
        """Takes one line for the user."""

    def warn(self, text: str) -> None:
        """Takes one line that the user must not miss."""

    def start(self, epochs: int, steps: int, examples: int) -> None:
        """Training starts: so many epochs of so many steps and examples."""

    def step(self, state: TrainingState, loss: torch.Tensor, hits: torch.Tensor) -> None:
        """A step is done; loss and hits are still on the device."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch is done and evaluated; 0 is before training."""

    def finish(self) -> None:
        """Training has ended, well or not."""


@dataclass(frozen=True)
class Run:
    """A run that ended FINISHED.

    run_id, experiment_id: its place in MLflow.
    name: as MLflow shows it.
    best_epoch: the epoch of the best weights, by the monitored metric.
    metrics: the last epoch's figures, and those of the test part on the best weights;
        losses are means over the examples, accuracies fractions.
    failures: what went wrong without stopping the run, by what was lost: a picture, the
        servable model.
    link, comparison_link: its page in MLflow's UI, and the page of its experiment's charts.
    """

    run_id: str
    experiment_id: str
    name: str
    best_epoch: int
    metrics: dict[str, float]
    failures: dict[str, str]
    link: str
    comparison_link: str


def train(settings: Settings | Mapping[str, object], *, progress: Progress | None = None) -> Run:
    """Trains one model and logs the run to MLflow; returns when all is logged.

    Args:
        settings: `Settings`, or names and values as on the command line:
            `{"model": "lenet", "dataset": "mnist", "model.dropout": 0.2}`.
        progress: who is told how it is getting on; nobody by default.

    Raises:
        MlrunError: something is wrong with the settings, the data or the store; no run was
            opened.
        RunFailed: the run was opened and ended FAILED.
        KeyboardInterrupt: the run was interrupted and ended KILLED.
    """
    try:
        if not isinstance(settings, Settings):
            settings = Settings.parse(settings)
        plan = make_plan(settings)
        if progress is not None:
            for text in plan.registry.complaints():
                progress.warn(text)
        opening.check_store()
        device = devices.resolve(settings.device)
        with devices.settings_of_a_run(device, settings.threads):
            prepared = prepare(plan, device)
            description = describe_run(plan, prepared)
            with undisturbed():
                tracker = opening.open_run(plan.run_name, settings.experiment, description.tags)
                session = Session(plan, prepared, tracker, progress)
            return session.run(description)
    except RunFailed:
        raise
    except MlrunError as error:
        opening.end_waiting_run("FAILED", str(error))
        raise
    except KeyboardInterrupt:
        opening.end_waiting_run("KILLED", INTERRUPTED)
        raise
    except Exception as error:
        opening.end_waiting_run("FAILED", one_line(error))
        raise


@dataclass
class Session:
    """A run while it lasts: opened in MLflow, and ended there in one of its states."""

    plan: Plan
    prepared: Prepared
    tracker: Tracker
    progress: Progress | None

    def __post_init__(self) -> None:
        settings = self.plan.settings
        self.gallery = Gallery(self.plan, self.prepared, self.tracker, self.say)
        self.tracker.on_trouble(self.warn_of_trouble)
        self.checkpoints = Checkpoints(
            run_folder(self.tracker.run_id), settings.keep, settings.monitor
        )

    def run(self, description: Description) -> Run:
        """Logs what the run is, trains, and ends it; returns the finished run."""
        try:
            return self.finish(*self.train(description))
        except KeyboardInterrupt as error:
            self.end("KILLED", str(error) or INTERRUPTED)
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
        settings, prepared = self.plan.settings, self.prepared
        self.describe(description)
        state = TrainingState(prepared.model, prepared.optimiser)
        if self.progress is not None:
            batches = prepared.train
            self.progress.start(settings.epochs, len(batches), batches.examples)
        self.before_training(state)
        fit(
            state,
            prepared.train,
            epochs=settings.epochs,
            seed=settings.seed,
            after_step=None if self.progress is None else self.progress.step,
            after_epoch=self.after_epoch,
        )
        metrics = {name: pairs[-1][1] for name, pairs in state.history.items()}
        best = self.checkpoints.best_epoch
        self.tracker.tags(
            {
                "mlrun.weights_sha256": digest(state.model.state_dict()),
                "mlrun.best_epoch": str(best),
            }
        )
        self.checkpoints.load_best(state.model)
        metrics |= self.test(state, best)
        if settings.log_model:
            self.log_model(state)
        self.tracker.show(self.gallery.keys, state.epoch)
        return best, metrics

    def describe(self, description: Description) -> None:
        """Logs what is known before anything is trained."""
        tracker = self.tracker
        tracker.params(self.plan.params())
        tracker.inputs(description.inputs)
        for name, content in description.files.items():
            tracker.artifact(name, content)
        self.say(f"run {tracker.run_name}: {tracker.link}")

    def before_training(self, state: TrainingState) -> None:
        """Evaluates and draws the untrained model: epoch 0."""
        metrics: dict[str, float] = {}
        for part in ("train", "val"):
            found = evaluate(state.model, self.prepared.parts[part], part=part)
            metrics |= {f"{part}/loss": found.loss, f"{part}/accuracy": found.accuracy}
        self.log_epoch(state, metrics)
        if self.plan.settings.epochs == 0:
            self.checkpoints.save(state, metrics)
        self.gallery.draw_epoch(state, found)

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Validates, logs, saves and draws what one epoch made."""
        found = evaluate(state.model, self.prepared.parts["val"], part="val")
        metrics |= {"val/loss": found.loss, "val/accuracy": found.accuracy}
        self.log_epoch(state, metrics)
        if not math.isfinite(found.loss):
            raise TrainingFailed(
                f"the validation loss is {found.loss} after epoch {state.epoch}; try a smaller lr "
                f"than {metrics['lr']:g}"
            )
        self.checkpoints.save(state, metrics)
        self.gallery.draw_epoch(state, found)

    def log_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Records an epoch's figures, logs them, and tells them to the user."""
        state.record(metrics)
        self.tracker.metrics(metrics, state.epoch)
        if self.progress is not None:
            self.progress.epoch(state.epoch, metrics)

    def test(self, state: TrainingState, best: int) -> dict[str, float]:
        """Evaluates the test part on the best weights, once, and draws the final figures."""
        if "test" not in self.prepared.parts:
            self.gallery.draw_end(state, best, None)
            return {}
        found = evaluate(state.model, self.prepared.parts["test"], part="test")
        metrics = {"test/loss": found.loss, "test/accuracy": found.accuracy}
        self.tracker.metrics(metrics, best)
        self.tracker.artifact("predictions/test.npz", test_arrays(found))
        self.say(
            f"test (best weights, epoch {best}): loss {found.loss:.4f}, "
            f"accuracy {found.accuracy:.4f}"
        )
        self.gallery.draw_end(state, best, found)
        return metrics

    def log_model(self, state: TrainingState) -> None:
        """Logs the best weights as a servable model; a model that cannot be exported costs that."""
        try:
            servable = Servable(self.prepared.normalisation, state.model)
            example = example_batch(self.prepared)
            with torch.no_grad():
                output = servable(torch.from_numpy(example)).numpy()
            self.tracker.model(servable, example, output, servable_requirements())
        except Exception as error:
            self.gallery.failures["servable model"] = one_line(error)
            self.tracker.artifact("failures/servable-model.txt", redact(traceback.format_exc()))
            self.tracker.tags({"mlrun.failed.model": one_line(error)})

    def finish(self, best: int, metrics: dict[str, float]) -> Run:
        """Ends the run as FINISHED and returns it.

        Raises:
            RunFailed: the store did not take everything.
        """
        tracker = self.tracker
        comparison_link = tracker.comparison_link()
        self.end("FINISHED", "")
        if tracker.lost:
            raise RunFailed(f"run {tracker.run_id}: {self.lost_reason()}", tracker.run_id)
        refused = {f"log of {event.name}": reason for event, reason in tracker.refused}
        return Run(
            run_id=tracker.run_id,
            experiment_id=tracker.experiment_id,
            name=tracker.run_name,
            best_epoch=best,
            metrics=metrics,
            failures={**self.gallery.failures, **refused},
            link=tracker.link,
            comparison_link=comparison_link,
        )

    def end(self, status: Status, reason: str) -> None:
        """Uploads the checkpoints, ends the run, and clears its folder if nothing was lost."""
        tracker = self.tracker
        with undisturbed():
            for path in self.checkpoints.files():
                tracker.artifact(f"checkpoints/{path.name}", path)
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
