"""fit(): the loop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.mixing import Mixing
from mlrun.data.randomness import derive_seed
from mlrun.training.devices import seed_step, synchronise
from mlrun.training.evaluation import Criterion, Forward, whole
from mlrun.training.modes import set_training_mode
from mlrun.training.precision import Precision
from mlrun.training.state import TrainingState


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

    def after_step(self, state: TrainingState, loss: Tensor, hits: Tensor, count: int) -> None:
        """Takes a step's mean loss and right answers, both on the device, of `count` examples."""

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
    losses: list[Tensor] = []
    hits: list[Tensor] = []
    sizes: list[int] = []
    set_training_mode(state.model)
    started, paused = time.perf_counter(), 0.0
    for images, labels in batches.epoch(epoch):
        seed_step(device, seeds + len(sizes))
        state.schedule.set_rates(state.step)
        optimiser.zero_grad(set_to_none=True)
        others, share = labels, 1.0
        if procedure.mixing is not None:
            seed = derive_seed(procedure.seed, "mixing", epoch, len(sizes))
            mixed = procedure.mixing(images, seed=seed)
            images, others, share = mixed.images, labels.roll(1), mixed.share
        examples = Examples(images, labels, others, share)
        loss, right = backward(state, examples, procedure, batches.batch_size)
        if procedure.clip_norm:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(state.model.parameters(), procedure.clip_norm)
        scaler.step(optimiser)
        scaler.update()
        state.step += 1
        if state.average is not None:
            state.average.update(state.step)
        losses.append(loss)
        hits.append(right)
        sizes.append(len(labels))
        listener.after_step(state, loss, right, len(labels))
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
    figures = means(losses, hits, sizes, epoch, state.schedule.rates[0])
    figures |= state.schedule.figures()
    return {**figures, "examples_per_second": sum(sizes) / seconds, "epoch_seconds": seconds}


class Examples(NamedTuple):
    """What one step trains on.

    images: standardised float32 (N, C, H, W), or their features (N, …).
    labels, others: int64 (N,); the images' own labels, and those that were mixed in.
    share: what an image's own label keeps of it, 0–1.
    """

    images: Tensor
    labels: Tensor
    others: Tensor
    share: float


def backward(
    state: TrainingState, examples: Examples, procedure: Procedure, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Computes the gradients of one step; returns its mean loss and right answers.

    The examples go through the model `batch_size` at a time.
    """
    losses, hits = [], []
    labels, share = examples.labels, examples.share
    parts = (tensor.split(batch_size) for tensor in examples[:3])
    for some, own, other in zip(*parts, strict=True):
        with procedure.precision.autocast():
            logits = procedure.forward(state.model, some)
        loss = procedure.loss_of(logits, own)
        predicted = logits.detach().argmax(1)
        right = (predicted == own).sum()
        if share < 1:
            loss = share * loss + (1 - share) * procedure.loss_of(logits, other)
            right = share * right + (1 - share) * (predicted == other).sum()
        if len(own) < len(labels):
            loss = loss * (len(own) / len(labels))
        objective = loss * len(labels) if procedure.reduction == "sum" else loss
        state.scaler.scale(objective).backward()
        losses.append(loss.detach())
        hits.append(right)
    if len(losses) == 1:
        return losses[0], hits[0]
    return torch.stack(losses).sum(), torch.stack(hits).sum()


def means(
    losses: list[Tensor], hits: list[Tensor], sizes: list[int], epoch: int, start: float
) -> dict[str, float]:
    """Returns the means of an epoch's steps, weighed by their sizes.

    `start` is the learning rate that the schedule multiplies.

    Raises:
        TrainingFailed: a loss is not finite.
    """
    mean_losses = torch.stack(losses).cpu().double()
    if not torch.isfinite(mean_losses).all():
        first = int((~torch.isfinite(mean_losses)).nonzero()[0])
        raise TrainingFailed(
            f"the loss is {mean_losses[first].item()} at step {first + 1} of epoch {epoch}; "
            f"try a smaller lr than {start:g}"
        )
    weights = torch.tensor(sizes, dtype=torch.float64)
    return {
        "train/loss": (mean_losses * weights).sum().item() / sum(sizes),
        "train/accuracy": torch.stack(hits).sum().item() / sum(sizes),
    }
