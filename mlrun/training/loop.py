"""fit(): the loop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.mixing import Mixing
from mlrun.machine.devices import synchronise
from mlrun.machine.precision import Precision
from mlrun.machine.randomness import derive_seed, seed_step
from mlrun.training.evaluation import Criterion, Forward, set_training_mode, whole
from mlrun.training.state import TrainingState
from mlrun.training.tally import Answers, Tally

Targets = tuple[Tensor, Tensor, float]  # labels, labels mixed in, and the share of the first


class TrainingFailed(Exception):
    """Training cannot go on: the loss is no longer a number, or the model broke its contract."""


@dataclass(frozen=True)
class Procedure:
    """How the weights are trained.

    loss_of: the loss of a batch: logits (n, K) and labels (n,) to a scalar mean.
    reduction: what of a step's losses is minimised: their mean or their sum.
    precision: of the forward pass.
    mixing: mixup or CutMix, if either is used.
    steps: optimiser steps in all.
    seed: of the run; random draws inside the model (dropout) come from it, the epoch and the
        step, and so do those of the mixing.
    clip_norm: the largest norm of the gradient; 0 for any.
    evaluate_every: steps between two calls of `Listener.evaluate`; 0 for none.
    seconds: after which training stops; 0 for never.
    forward: makes the logits, where the batches are not images but features.
    """

    loss_of: Criterion
    precision: Precision
    mixing: Mixing | None
    steps: int
    seed: int
    reduction: Literal["mean", "sum"] = "mean"
    clip_norm: float = 0.0
    evaluate_every: int = 0
    seconds: float = 0.0
    forward: Forward = whole


class Listener(Protocol):
    """Who is told how training gets on."""

    def after_step(self, state: TrainingState, tally: Tally) -> None:
        """Takes what the epoch's steps came to so far; to ask it makes the device wait."""

    def evaluate(self, state: TrainingState) -> None:
        """May evaluate between two steps; the time it takes is not counted."""

    def after_epoch(self, state: TrainingState, metrics: dict[str, float]) -> None:
        """Takes an epoch's figures in training mode; may set `state.stopped`.

        They are `train/loss` and `train/accuracy` (a fraction), running means over the epoch's
        examples, `lr` and `lr/PART` (of the last step), `examples_per_second` and
        `epoch_seconds`.
        """


def fit(state: TrainingState, batches: Batches, procedure: Procedure, listener: Listener) -> None:
    """Trains `state.model` until the procedure's last step, or until `state.stopped` is set.

    An epoch that the last step or the time limit cuts short counts as an epoch.

    Args:
        state: where training stands; changed in place.
        batches: of the training part; order drawn from (seed, epoch).

    Raises:
        TrainingFailed: a loss is not finite.
    """
    deadline = time.monotonic() + procedure.seconds if procedure.seconds else float("inf")
    set_training_mode(state.model)  # once: 60 µs, and what evaluates puts each mode back
    while state.step < procedure.steps and not state.stopped:
        metrics = train_epoch(state, batches, procedure, listener, deadline)
        listener.after_epoch(state, metrics)


def train_epoch(
    state: TrainingState,
    batches: Batches,
    procedure: Procedure,
    listener: Listener,
    deadline: float,
) -> dict[str, float]:
    """Trains one epoch, or what is left of the procedure's steps; returns its figures."""
    optimiser, scaler, device = state.optimiser, state.scaler, batches.device
    epoch = state.epoch + 1
    seeds = derive_seed(procedure.seed, "model", epoch) >> 1  # the first step's; then one more each
    trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    tally = Tally()
    started, paused = time.perf_counter(), 0.0
    for step, (images, labels) in enumerate(batches.epoch(epoch)):
        seed_step(device, seeds + step)
        state.schedule.set_rates(state.step)
        for parameter in trained:  # 25 µs less than optimiser.zero_grad()
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
        listener.after_step(state, tally)
        if procedure.evaluate_every and state.step % procedure.evaluate_every == 0:
            synchronise(device)
            before = time.perf_counter()
            listener.evaluate(state)
            paused += time.perf_counter() - before
        if state.step >= procedure.steps:
            break
        if time.monotonic() > deadline:
            state.stopped = f"time limit of {procedure.seconds / 60:g} minutes"
            break
    synchronise(device)
    seconds = time.perf_counter() - started - paused
    state.epoch = epoch
    figures = means(tally, epoch, state.schedule.rates[0]) | state.schedule.figures()
    examples = sum(tally.sizes)
    return {**figures, "examples_per_second": examples / seconds, "epoch_seconds": seconds}


def backward(
    state: TrainingState,
    images: Tensor,
    targets: Targets,
    procedure: Procedure,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """Computes the gradients of one step; returns its mean loss and its logits, both detached.

    The images go through the model `batch_size` at a time.
    """
    labels, others, share = targets
    if len(labels) <= batch_size:  # as a rule; to cut the batch would cost as much as a layer
        return backward_part(state, images, targets, procedure, len(labels))
    done = []
    parts = (tensor.split(batch_size) for tensor in (images, labels, others))
    for some, own, other in zip(*parts, strict=True):
        done.append(backward_part(state, some, (own, other, share), procedure, len(labels)))
    losses, logits = zip(*done, strict=True)
    return torch.stack(losses).sum(), torch.cat(logits)


def backward_part(
    state: TrainingState, images: Tensor, targets: Targets, procedure: Procedure, size: int
) -> tuple[Tensor, Tensor]:
    """Adds the gradients of some of a step's `size` examples; returns their loss and logits.

    The loss is their share of the step's mean.
    """
    labels, others, share = targets
    with procedure.precision.autocast():
        logits = procedure.forward(state.model, images)
    loss = procedure.loss_of(logits, labels)
    if share < 1:
        loss = share * loss + (1 - share) * procedure.loss_of(logits, others)
    if len(labels) < size:
        loss = loss * (len(labels) / size)
    objective = loss * size if procedure.reduction == "sum" else loss
    state.scaler.scale(objective).backward()
    return loss.detach(), logits.detach()


def means(tally: Tally, epoch: int, start: float) -> dict[str, float]:
    """Returns the means of an epoch's steps, weighed by their sizes.

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
