"""One run from start to finish: settings in, an MLflow run out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from mlrun.errors import MlrunError, RunFailed, one_line, redact
from mlrun.inside.drawing import draw
from mlrun.inside.sandbox import detached_copy
from mlrun.inside.view import View
from mlrun.plan import Chosen, Plan, make_plan
from mlrun.preparation import Prepared, prepare
from mlrun.record import opening, store, tracking
from mlrun.record.description import describe_run, example_batch, servable_requirements, test_arrays
from mlrun.record.folders import run_folder
from mlrun.record.pictures import figure_event, grid_events
from mlrun.settings import Settings
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.evaluation import Evaluation, evaluate
from mlrun.training.loop import TrainingFailed, TrainingState, fit
from mlrun.training.optimisers import make_optimiser
from mlrun.training.servable import Servable


class Progress(Protocol):
    """Who is told how a run is getting on; every call is cheap and may be ignored."""

    def note(self, text: str) -> None:
        """Takes one line for the user."""

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
        opening.check_store()
        threads = torch.get_num_threads()
        try:
            if settings.threads:
                torch.set_num_threads(settings.threads)
            with torch.random.fork_rng():
                return Session(plan, prepare(plan), progress).run()
        finally:
            torch.set_num_threads(threads)
    except RunFailed:
        raise
    except MlrunError as error:
        opening.fail_waiting_run(str(error))
        raise


@dataclass
class Session:
    """A run while it lasts."""

    plan: Plan
    prepared: Prepared
    progress: Progress | None
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)

    def run(self) -> Run:
        """Opens the run, trains, and ends it in one of MLflow's states."""
        settings, prepared = self.plan.settings, self.prepared
        description = describe_run(self.plan, prepared)
        self.tracker = opening.open_run(self.plan.run_name, settings.experiment, description.tags)
        tracker = self.tracker
        base = store.ui_base(tracker.uri)
        self.link = store.run_link(base, tracker.experiment_id, tracker.run_id)
        self.checkpoints = Checkpoints(run_folder(tracker.run_id), settings.keep, settings.monitor)
        try:
            tracker.params(self.plan.params())
            tracker.inputs(description.inputs)
            for name, content in description.files.items():
                tracker.artifact(name, content)
            self.say(f"run {tracker.run_name}: {self.link}")
            self.state = TrainingState(prepared.model, make_optimiser(prepared.model, settings))
            return self.train()
        except KeyboardInterrupt as error:
            self.end("KILLED", one_line(error))
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, TrainingFailed) else one_line(error)
            tracker.artifact("failure.txt", redact(traceback.format_exc()))
            self.end("FAILED", reason)
            raise RunFailed(f"run {tracker.run_id} failed: {reason}", tracker.run_id) from error
        finally:
            if self.progress is not None:
                self.progress.finish()

    def train(self) -> Run:
        """Trains, tests the best weights, and logs what remains; returns the finished run."""
        settings, prepared, state = self.plan.settings, self.prepared, self.state
        if self.progress is not None:
            batches = prepared.train
            self.progress.start(settings.epochs, len(batches), batches.examples)
        self.before_training()
        fit(
            state,
            prepared.train,
            epochs=settings.epochs,
            seed=settings.seed,
            after_step=None if self.progress is None else self.progress.step,
            after_epoch=self.after_epoch,
        )
        self.tracker.tags({"mlrun.weights_sha256": digest(state.model.state_dict())})
        best = self.checkpoints.best_epoch
        self.tracker.tags({"mlrun.best_epoch": str(best)})
        self.checkpoints.load_best(state.model)
        metrics = {name: pairs[-1][1] for name, pairs in state.history.items()}
        metrics |= self.test(best)
        if settings.log_model:
            self.log_model()
        self.tracker.show(self.keys, state.epoch)
        self.end("FINISHED", "")
        if self.tracker.lost:
            reason = self.lost_reason()
            raise RunFailed(f"run {self.tracker.run_id}: {reason}", self.tracker.run_id)
        return Run(
            run_id=self.tracker.run_id,
            experiment_id=self.tracker.experiment_id,
            name=self.tracker.run_name,
            best_epoch=best,
            metrics=metrics,
            failures=dict(self.failures),
            link=self.link,
            comparison_link=self.tracker.comparison_link(),
        )

    def before_training(self) -> None:
        """Evaluates and draws the untrained model: epoch 0."""
        metrics: dict[str, float] = {}
        for part in ("train", "val"):
            found = evaluate(self.state.model, self.prepared.parts[part], part=part)
            metrics |= {f"{part}/loss": found.loss, f"{part}/accuracy": found.accuracy}
        self.log_epoch(metrics, found)
        if self.plan.settings.epochs == 0:
            self.checkpoints.save(self.state, metrics)

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Validates, logs, saves and draws what one epoch made."""
        found = evaluate(state.model, self.prepared.parts["val"], part="val")
        metrics |= {"val/loss": found.loss, "val/accuracy": found.accuracy}
        self.checkpoints.save(state, metrics)
        self.log_epoch(metrics, found)

    def log_epoch(self, metrics: dict[str, float], validated: Evaluation) -> None:
        """Logs an epoch's figures, tells them to the user, and draws its pictures."""
        self.state.record(metrics)
        self.tracker.metrics(metrics, self.state.epoch)
        if self.progress is not None:
            self.progress.epoch(self.state.epoch, metrics)
        view = self.view(self.state.epoch, {"val": validated}, "val")
        for key, image in self.draw_all("epoch", view).items():
            self.keys[key] = None
            for event in grid_events(self.tracker.run_id, key, image, self.state.epoch):
                self.tracker.log(event)

    def test(self, best: int) -> dict[str, float]:
        """Evaluates the test part on the best weights, once, and draws the final figures."""
        metrics = {}
        evaluations: dict[str, Evaluation] = {}
        if "test" in self.prepared.parts:
            found = evaluate(self.state.model, self.prepared.parts["test"], part="test")
            evaluations["test"] = found
            metrics = {"test/loss": found.loss, "test/accuracy": found.accuracy}
            self.tracker.metrics(metrics, best)
            self.tracker.artifact("predictions/test.npz", test_arrays(found))
            self.say(
                f"test (best weights, epoch {best}): loss {found.loss:.4f}, "
                f"accuracy {found.accuracy:.4f}"
            )
        view = self.view(best, evaluations, "test" if evaluations else "val")
        for name, image in self.draw_all("end", view).items():
            self.tracker.log(figure_event(name, image))
        return metrics

    def view(self, epoch: int, evaluations: dict[str, Evaluation], default: str) -> View | None:
        """Returns what visualisers will see now, or None where no visualiser is asked for."""
        if not self.plan.visualisers:
            return None
        prepared = self.prepared

        def inputs(images: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                standardised: torch.Tensor = prepared.normalisation(images.to(prepared.device))
                return standardised

        return View(
            model=self.state.model,
            epoch=epoch,
            shape=prepared.data.shape,
            classes=prepared.data.classes,
            history={name: tuple(pairs) for name, pairs in self.state.history.items()},
            _selections=prepared.selections,
            _normalise=inputs,
            _evaluate=lambda model, part: evaluate(model, prepared.parts[part], part=part),
            _default_part=default,
            _evaluations=evaluations,
            notes=self.notes,
        )

    def draw_all(self, when: str, view: View | None) -> dict[str, Any]:
        """Returns the pictures of every visualiser for `when`, by key; failures are filed."""
        pictures: dict[str, Any] = {}
        for chosen in self.plan.visualisers:
            if chosen.component.when != when or view is None:
                continue
            told = len(self.notes)
            try:
                pictures |= self.draw_one(chosen, view)
            except (Exception, SystemExit) as error:
                self.fail(chosen, view.epoch, error)
            for note in self.notes[told:]:
                self.say(f"{chosen.component.name}: {note}")
        return pictures

    def draw_one(self, chosen: Chosen, view: View) -> dict[str, Any]:
        """Returns the pictures of one visualiser, drawn from a copy of the model of its own."""
        own = dict(vars(view))
        own.update(model=detached_copy(self.state.model), _evaluations=dict(view._evaluations))
        return dict(
            draw(
                chosen.component.function,
                chosen.prefix.replace("/", "-"),
                chosen.options,
                View(**own),
            )
        )

    def fail(self, chosen: Chosen, epoch: int, error: BaseException) -> None:
        """Files a visualiser that failed; the first failure of each counts."""
        what = f"visualiser {chosen.component.name}"
        if what in self.failures:
            return
        self.failures[what] = f"at epoch {epoch}: {one_line(error)}"
        trace = redact("".join(traceback.format_exception(error)))
        self.tracker.artifact(f"failures/{chosen.component.name}.txt", trace)
        self.tracker.tags({f"mlrun.failed.{chosen.component.name}": self.failures[what]})

    def log_model(self) -> None:
        """Logs the best weights as a servable model; a model that cannot be exported costs that."""
        servable = Servable(self.prepared.normalisation, self.state.model)
        example = example_batch(self.prepared)
        try:
            with torch.no_grad():
                output = servable(torch.from_numpy(example)).numpy()
            self.tracker.model(servable, example, output, servable_requirements())
        except Exception as error:
            self.failures["servable model"] = one_line(error)
            self.tracker.artifact("failures/servable-model.txt", redact(traceback.format_exc()))
            self.tracker.tags({"mlrun.failed.model": one_line(error)})

    def end(self, status: tracking.Status, reason: str) -> None:
        """Uploads the checkpoints, ends the run, and clears its folder if nothing was lost."""
        tracker = self.tracker
        for path in self.checkpoints.files():
            tracker.artifact(f"checkpoints/{path.name}", path)
        if reason:
            tracker.tags({"mlrun.reason": reason})
        tracker.close(status)
        if tracker.lost:
            self.say(self.lost_reason())
            return
        self.checkpoints.clear()

    def lost_reason(self) -> str:
        """Returns what the tracking store did not take, and where the checkpoints are."""
        lost = self.tracker.lost
        names = sorted({event.name for event, _ in lost})
        return (
            f"{len(lost)} events were not logged ({', '.join(names[:3])}"
            f"{', …' if len(names) > 3 else ''}): {lost[0][1]}; checkpoints are kept in "
            f"{self.checkpoints.folder}"
        )

    def say(self, text: str) -> None:
        """Tells the user one line."""
        if self.progress is not None:
            self.progress.note(text)
