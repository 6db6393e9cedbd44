"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from mlrun.data.batches import Batches
from mlrun.machine import interrupts
from mlrun.machine.devices import synchronise
from mlrun.training.callbacks import Callback, Length
from mlrun.training.evaluation import set_training_mode
from mlrun.training.following import steps_at_once
from mlrun.training.orders import Order
from mlrun.training.procedure import Procedure
from mlrun.training.reports import (
    Evaluate,
    TrainingFailed,
    end_epoch,
    evaluate_between,
    evaluate_untrained,
    was_evaluated,
)
from mlrun.training.state import TrainingState
from mlrun.training.step import Step
from mlrun.training.tally import Tally


def fit(
    state: TrainingState,
    batches: Batches,
    procedure: Procedure,
    callbacks: Sequence[Callback] = (),
    evaluate: Evaluate | None = None,
) -> None:
    """Trains `state.model` until the procedure's last step, or until `state.stopped` is set.

    The untrained model is evaluated first. An epoch that the last step or the time limit cuts
    short counts as an epoch. A state that was put down between any two steps goes on there.

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
    began = time.perf_counter() - state.seconds
    with state.group.telling(Order.BUILD):
        step = Step(state, procedure, batches)
    length = Length(procedure.steps, len(batches), batches.examples)
    for callback in callbacks:
        callback.on_train_begin(state, length)
    if evaluate is not None and not state.step:
        evaluate_untrained(state, procedure, callbacks, evaluate)
    set_training_mode(state.model)  # once: 60 µs, and evaluations restore each mode
    while (state.step < procedure.steps and not state.stopped) or state.tally.sizes:
        metrics = train_epoch(state, step, batches, procedure, callbacks, began, evaluate)
        tally = state.tally
        with state.ending_epoch():
            if len(tally.sizes) < len(batches):
                state.cut = tally
            end_epoch(state, procedure, metrics, callbacks, evaluate)
    for callback in callbacks:
        callback.on_train_end(state)


def train_epoch(
    state: TrainingState,
    train_step: Step,
    batches: Batches,
    procedure: Procedure,
    callbacks: Sequence[Callback],
    began: float,
    evaluate: Evaluate | None,
) -> dict[str, float]:
    """Trains one epoch, or what is left of it or of the procedure's steps; returns its metrics.

    `began` is when the training began, in seconds of `time.perf_counter`, less its interruptions.

    They are `train/loss` and `train/accuracy` (a fraction), running means over the epoch's
    examples in training mode, unless the training part is evaluated instead; `lr` and `lr/PART`
    (of the last step), `examples_per_second` and `epoch_seconds`.
    """
    device, epoch = batches.device, state.epoch + 1
    on_step_ends = [  # a call that does nothing is a microsecond of every step
        callback.on_step_end
        for callback in callbacks
        if type(callback).on_step_end is not Callback.on_step_end
    ]
    every, tally = procedure.evaluate_every, state.tally
    started = time.perf_counter() - state.epoch_seconds
    first = len(tally.sizes)
    if every and first and state.step % every == 0 and not was_evaluated(state):
        started += evaluate_between(state, procedure, callbacks, evaluate)
    in_turn = batches.epoch(epoch, first)
    while (step := len(tally.sizes)) < len(batches) and state.step < procedure.steps:
        most = min(len(batches) - step, procedure.steps - state.step)
        if every:
            most = min(most, every - state.step % every)
        count, scale = steps_at_once(state, most), state.schedule.scale
        interrupts.hold()
        with state.group.telling(Order.STEP, epoch, step, state.step, scale, count):
            for number in range(step, step + count):
                images, labels = next(in_turn)
                loss, right = train_step(epoch, number, images, labels)
                tally.add(loss, right, len(labels))
                now = time.perf_counter()
                state.seconds, state.epoch_seconds = now - began, now - started
                for on_step_end in on_step_ends:
                    on_step_end(state, tally)
        interrupts.release()
        if every and state.step % every == 0:
            synchronise(device)
            started += evaluate_between(state, procedure, callbacks, evaluate)
        if 0 < procedure.seconds < state.seconds and state.step < procedure.steps:
            state.stopped = f"time limit of {procedure.seconds / 60:g} minutes"
            break
    synchronise(device)
    state.epoch_seconds = seconds = time.perf_counter() - started
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
