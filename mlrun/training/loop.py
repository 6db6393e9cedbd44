"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from mlrun.data.batches import Batches
from mlrun.machine import interrupts
from mlrun.machine.devices import synchronise
from mlrun.machine.randomness import derive_seed, seed_step
from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.evaluation import Evaluation, set_training_mode
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState
from mlrun.training.step import Targets, backward
from mlrun.training.tally import Answers, Tally

Evaluate = Callable[[nn.Module, str], Evaluation]  # a model on a part


class TrainingFailed(Exception):
    """Training cannot go on: the loss is no longer a number, or the model broke its contract."""


def fit(
    state: TrainingState,
    batches: Batches,
    procedure: Procedure,
    callbacks: Sequence[Callback] = (),
    evaluate: Evaluate | None = None,
) -> None:
    """Trains `state.model` until the procedure's last step, or until `state.stopped` is set.

    The untrained model is evaluated first. An epoch that the last step or the time limit cuts
    short counts as an epoch.

    Args:
        state: where training stands; changed in place.
        batches: of the training part; order drawn from (seed, epoch).
        procedure: how the weights are trained.
        callbacks: called in this order.
        evaluate: returns the evaluation of a model on the part `train` or `val`; without it
            nothing is evaluated, and nothing waits for a better metric.

    Raises:
        TrainingFailed: a loss is not finite.
        KeyboardInterrupt: a signal came; the state is whole, between two steps, if the error is an
            `Interrupted` that says so.
    """
    deadline = time.monotonic() + procedure.seconds if procedure.seconds else float("inf")
    length = Length(procedure.steps, len(batches), batches.examples)
    for callback in callbacks:
        callback.on_train_begin(state, length)
    if evaluate is not None and not state.step:
        evaluate_untrained(state, procedure, callbacks, evaluate)
    set_training_mode(state.model)  # once: 60 µs, and evaluations restore each mode
    while state.step < procedure.steps and not state.stopped:
        metrics = train_epoch(state, batches, procedure, callbacks, deadline, evaluate)
        end_epoch(state, procedure, metrics, callbacks, evaluate)
    for callback in callbacks:
        callback.on_train_end(state)


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


def train_epoch(
    state: TrainingState,
    batches: Batches,
    procedure: Procedure,
    callbacks: Sequence[Callback],
    deadline: float,
    evaluate: Evaluate | None,
) -> dict[str, float]:
    """Trains one epoch, or what is left of the procedure's steps; returns its metrics.

    They are `train/loss` and `train/accuracy` (a fraction), running means over the epoch's
    examples in training mode, unless the training part is evaluated instead; `lr` and `lr/PART`
    (of the last step), `examples_per_second` and `epoch_seconds`.
    """
    optimiser, scaler, device = state.optimiser, state.scaler, batches.device
    epoch = state.epoch + 1
    seeds = derive_seed(procedure.seed, "model", epoch) >> 1  # the first step's; then one more each
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    on_step_ends = [  # a call that does nothing is a microsecond of every step
        callback.on_step_end
        for callback in callbacks
        if type(callback).on_step_end is not Callback.on_step_end
    ]
    every = procedure.evaluate_every
    tally = Tally()
    started, paused = time.perf_counter(), 0.0
    for step, (images, labels) in enumerate(batches.epoch(epoch)):
        interrupts.hold()
        seed_step(device, seeds + step)
        state.schedule.set_rates(state.step)
        for parameter in parameters:  # 25 µs less than optimiser.zero_grad()
            parameter.grad = None
        targets: Targets = (labels, labels, 1.0)
        if procedure.mixing is not None:
            seed = derive_seed(procedure.seed, "mixing", epoch, step)
            mixed = procedure.mixing(images, seed=seed)
            images, targets = mixed.images, (labels, labels.roll(1), mixed.share)
        loss, logits = backward(state, images, targets, procedure, batches.batch_size)
        if procedure.clip_norm:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(state.model.parameters(), procedure.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        state.step += 1
        if state.average is not None:
            state.average.update(state.step)
        tally.add(loss, Answers(logits, *targets))
        for on_step_end in on_step_ends:
            on_step_end(state, tally)
        interrupts.release()
        if every and state.step % every == 0:
            synchronise(device)
            paused += evaluate_between(state, procedure, callbacks, evaluate)
        if state.step >= procedure.steps:
            break
        if time.monotonic() > deadline:
            state.stopped = f"time limit of {procedure.seconds / 60:g} minutes"
            break
    synchronise(device)
    seconds = time.perf_counter() - started - paused
    state.epoch = epoch
    examples = sum(tally.sizes)
    figures = means(tally, epoch, state.schedule.rates[0])
    if procedure.evaluate_train:
        figures = {}
    figures |= state.schedule.figures()
    return {**figures, "examples_per_second": examples / seconds, "epoch_seconds": seconds}


def means(tally: Tally, epoch: int, start: float) -> dict[str, float]:
    """Returns the mean loss and accuracy of an epoch's steps, weighed by their sizes.

    `start` is the learning rate that the schedule multiplies.

    Raises:
        TrainingFailed: a loss is not finite.
    """
    losses = tally.losses().cpu().double()
    if not torch.isfinite(losses).all():
        first = int((~torch.isfinite(losses)).nonzero()[0])
        raise TrainingFailed(
            f"the loss is {losses[first].item()} at step {first + 1} of epoch {epoch}; "
            f"try a smaller lr than {start:g}"
        )
    sizes = torch.tensor(tally.sizes, dtype=torch.float64)
    return {
        "train/loss": ((losses * sizes).sum() / sizes.sum()).item(),
        "train/accuracy": tally.hits().sum().item() / sum(tally.sizes),
    }
