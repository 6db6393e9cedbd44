"""Evaluations in the course of a training, and what is reported of them and of each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import nn

from mlrun.machine import interrupts
from mlrun.training.callbacks import Callback, Epoch
from mlrun.training.evaluation import Evaluation
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState

Evaluate = Callable[[nn.Module, str], Evaluation]  # a model on a part


class TrainingFailed(Exception):
    """Training cannot go on: the loss is no longer a number, or the model broke its contract."""


def evaluate_untrained(
    state: TrainingState,
    procedure: Procedure,
    callbacks: Sequence[Callback],
    evaluate: Evaluate,
) -> None:
    """Evaluates the model before its first step: epoch 0."""
    evaluations = {part: evaluate(state.evaluated, part) for part in ("train", "val")}
    metrics = figures_of(evaluations)
    if not procedure.evaluate_train:
        metrics.pop("train/top5-accuracy", None)  # no epoch to come will have it
    interrupts.hold()
    state.record(metrics)
    if procedure.evaluate_every:
        parts = {part: evaluations[part] for part in procedure.evaluated_parts}
        report_evaluations(state, parts, callbacks)
    monitored = metrics[state.patience.monitor]
    epoch = Epoch(0, metrics, evaluations, monitored, last=not procedure.steps)
    for callback in callbacks:
        callback.on_epoch_end(state, epoch)
    interrupts.release()


def end_epoch(
    state: TrainingState,
    procedure: Procedure,
    metrics: dict[str, float],
    callbacks: Sequence[Callback],
    evaluate: Evaluate | None,
) -> None:
    """Evaluates the epoch that the state has reached if it is its turn, and reports all of it.

    The last epoch is always evaluated, also where a callback stops the training with it.

    Raises:
        TrainingFailed: the validation loss is not finite.
    """
    last = state.step >= procedure.steps or bool(state.stopped)
    if last or state.epoch % procedure.evaluate_epochs == 0:
        report_epoch(state, procedure, metrics, callbacks, evaluate, last=last)
        return
    report_epoch(state, procedure, metrics, callbacks, None, last=False)
    if state.stopped and evaluate is not None:
        report_epoch(state, procedure, {}, callbacks, evaluate, last=True)


def report_epoch(
    state: TrainingState,
    procedure: Procedure,
    metrics: Mapping[str, float],
    callbacks: Sequence[Callback],
    evaluate: Evaluate | None,
    *,
    last: bool,
) -> None:
    """Records an epoch's metrics with those of its evaluation, and calls the callbacks.

    Raises:
        TrainingFailed: the validation loss is not finite.
    """
    evaluations: dict[str, Evaluation] = {}
    monitored = None
    if evaluate is not None:
        evaluations = {part: evaluate(state.evaluated, part) for part in procedure.evaluated_parts}
        metrics = {**metrics, **figures_of(evaluations)}
        # the monitored metric may be of the training steps, reported before
        monitored = metrics.get(state.patience.monitor)
        if monitored is None:
            monitored = state.history[state.patience.monitor][-1][1]
    interrupts.hold()
    state.record(metrics)
    epoch = Epoch(state.epoch, metrics, evaluations, monitored, last)
    warm = state.step >= state.schedule.warm_steps
    if monitored is not None and warm and not epoch.diverged:
        state.schedule.evaluated(monitored)
        if state.patience.exhausted(monitored) and not last:
            state.stopped = state.patience.reason
            epoch = replace(epoch, last=True)
    for callback in callbacks:  # what takes long there can be interrupted
        callback.on_epoch_end(state, epoch)
    interrupts.release()
    if epoch.diverged:
        raise TrainingFailed(
            f"the validation loss is {evaluations['val'].loss} after epoch {state.epoch}; try a "
            f"smaller lr than {state.schedule.rates[0]:g}"
        )


def figures_of(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    """Returns the metrics of several parts together: `val/loss`, `val/accuracy`, …"""
    return {k: v for evaluation in evaluations.values() for k, v in evaluation.figures().items()}


def evaluate_between(
    state: TrainingState,
    procedure: Procedure,
    callbacks: Sequence[Callback],
    evaluate: Evaluate | None,
) -> float:
    """Evaluates between two steps; returns the seconds that it took."""
    if evaluate is None:
        return 0.0
    started = time.perf_counter()
    evaluations = {part: evaluate(state.evaluated, part) for part in procedure.evaluated_parts}
    report_evaluations(state, evaluations, callbacks)
    return time.perf_counter() - started


def was_evaluated(state: TrainingState) -> bool:
    """Whether parts were evaluated after the last step."""
    series = state.steps.get("step/val-loss")
    return series is not None and len(series) > 0 and series.steps[-1] == state.step


def report_evaluations(
    state: TrainingState, evaluations: Mapping[str, Evaluation], callbacks: Sequence[Callback]
) -> None:
    """Records evaluations between two steps, as `step/val-loss`, …, and calls the callbacks."""
    figures = figures_of(evaluations)
    metrics = {f"step/{name.replace('/', '-')}": value for name, value in figures.items()}
    interrupts.hold()
    state.record_step(state.step, metrics)
    for callback in callbacks:
        callback.on_evaluate(state, metrics)
    interrupts.release()
