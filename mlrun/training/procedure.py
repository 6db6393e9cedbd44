"""Procedure: the options of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlrun.data.mixing import Mixing
from mlrun.machine.precision import Precision
from mlrun.training.evaluation import Forward, whole
from mlrun.training.losses import Criterion


@dataclass(frozen=True)
class Procedure:
    """The options of the training loop.

    loss_of: the loss of a batch: logits (n, K) and labels (n,) to a scalar mean.
    reduction: whether the mean or the sum of a step's losses is minimised.
    precision: of the forward pass.
    sync_batch_norm: whether batch normalisation is over the images of all processes.
    mixing: mixup or CutMix, if either is used.
    steps: optimiser steps in all.
    seed: of the run; random draws inside the model (dropout) come from it, the epoch and the
        step, and so do those of the mixing.
    clip_norm: the largest norm of the gradient; 0 for any.
    evaluate_every: steps between two evaluations within an epoch; 0 for none.
    evaluate_epochs: epochs between two evaluations after an epoch; the last one always is.
    evaluate_train: whether the training part is evaluated too, in place of the running means.
    seconds: after which training stops; 0 for never.
    forward: computes the logits, where the batches are not images but features.
    """

    loss_of: Criterion
    precision: Precision
    mixing: Mixing | None
    steps: int
    seed: int
    reduction: Literal["mean", "sum"] = "mean"
    clip_norm: float = 0.0
    evaluate_every: int = 0
    evaluate_epochs: int = 1
    evaluate_train: bool = False
    seconds: float = 0.0
    sync_batch_norm: bool = False
    forward: Forward = whole

    @property
    def evaluated_parts(self) -> tuple[str, ...]:
        """The parts that are evaluated while the model is trained."""
        return ("train", "val") if self.evaluate_train else ("val",)
