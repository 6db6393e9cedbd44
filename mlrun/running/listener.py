"""What is done with a training while it lasts: evaluated, logged, judged, kept and drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mlrun.record.tracking import Tracker
from mlrun.running.gallery import Gallery
from mlrun.running.progress import Progress
from mlrun.running.step_log import StepLog
from mlrun.settings import Settings
from mlrun.training.checkpoints import Checkpoints
from mlrun.training.evaluation import Evaluation
from mlrun.training.loop import TrainingFailed
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally


@dataclass(frozen=True)
class RunListener:
    """Whom `fit` tells how a run's training gets on.

    total: steps of the whole training.
    evaluation: returns what a model says of the part `train` or `val`.
    """

    settings: Settings
    total: int
    evaluation: Callable[[nn.Module, str], Evaluation]
    tracker: Tracker
    steps: StepLog
    checkpoints: Checkpoints
    gallery: Gallery
    progress: Progress | None

    def before_training(self, state: TrainingState) -> None:
        """Evaluates and draws the untrained model: epoch 0."""
        found = {part: self.evaluation(state.evaluated, part) for part in ("train", "val")}
        metrics = found["train"].figures() | found["val"].figures()
        if not self.settings.evaluate_train:
            metrics.pop("train/top5-accuracy", None)  # no epoch to come will have it
        self.log_epoch(state, metrics)
        self.tell_epoch(state, metrics)
        if self.settings.evaluate_steps:
            self.log_step(state, [found[part] for part in self.evaluated_parts])
        if not self.total:
            self.checkpoints.save(state, metrics[self.settings.monitor])
        self.gallery.draw_epoch(state, found)

    def after_step(self, state: TrainingState, tally: Tally) -> None:
        """Logs a step's figures where they are asked for, and tells them to the user."""
        self.steps.add(tally)
        if self.progress is not None:
            self.progress.step(state, tally)

    def evaluate(self, state: TrainingState) -> None:
        """Evaluates between two steps, as `evaluate_every … steps` asks for."""
        self.log_step(state, list(self.evaluate_parts(state).values()))

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Logs what one epoch made; evaluates, saves and draws it where it is its turn."""
        settings = self.settings
        self.steps.flush()
        if settings.evaluate_train:
            del metrics["train/loss"], metrics["train/accuracy"]
        last = state.step >= self.total or bool(state.stopped)
        if state.epoch % settings.evaluate_epochs and not last:
            self.log_epoch(state, metrics)
            self.checkpoints.save(state, None)
            self.tell_epoch(state, metrics)
            return
        found = self.evaluate_parts(state)
        for evaluation in found.values():
            metrics |= evaluation.figures()
        self.log_epoch(state, metrics)
        loss = found["val"].loss
        if not math.isfinite(loss):
            self.tell_epoch(state, metrics)
            raise TrainingFailed(
                f"the validation loss is {loss} after epoch {state.epoch}; try a smaller lr "
                f"than {settings.lr:g}"
            )
        self.judge(state, metrics[settings.monitor])
        self.tell_epoch(state, metrics)
        self.gallery.draw_epoch(state, found)

    def judge(self, state: TrainingState, value: float) -> None:
        """Takes the monitored figure of an epoch: the schedule, early stopping, checkpoints."""
        settings = self.settings
        state.schedule.evaluated(value)
        ended = state.stopped or state.step >= self.total
        if state.patience.exhausted(value) and not ended:
            limit = settings.early_stopping
            state.stopped = (
                f"early stopping: {settings.monitor} not better for {limit} "
                f"evaluation{'' if limit == 1 else 's'}"
            )
        self.checkpoints.save(state, value)

    def log_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Records an epoch's figures and logs them."""
        state.record(metrics)
        self.tracker.metrics(metrics, state.epoch)

    def tell_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Tells the user an epoch's figures, once its weights are safe."""
        if self.progress is not None:
            self.progress.epoch(state.epoch, metrics)

    def evaluate_parts(self, state: TrainingState) -> dict[str, Evaluation]:
        """Returns what the model says of each part that is evaluated while it is trained."""
        parts = self.evaluated_parts
        return {part: self.evaluation(state.evaluated, part) for part in parts}

    @property
    def evaluated_parts(self) -> tuple[str, ...]:
        """The parts that are evaluated while it is trained."""
        return ("train", "val") if self.settings.evaluate_train else ("val",)

    def log_step(self, state: TrainingState, found: list[Evaluation]) -> None:
        """Records and logs evaluations between two steps: `step/val-loss`, …"""
        figures = {k: v for evaluation in found for k, v in evaluation.figures().items()}
        named = {f"step/{name.replace('/', '-')}": value for name, value in figures.items()}
        state.record_step(state.step, named)
        self.tracker.metrics(named, state.step)
