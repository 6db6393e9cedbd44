"""Evaluation: predictions and loss of a model for a part, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mlrun.data.batches import Batches
from mlrun.machine.group import ALONE, Group
from mlrun.machine.precision import Precision
from mlrun.training.losses import criterion
from mlrun.training.predictions import Predictions

Forward = Callable[[nn.Module, Tensor], Tensor]  # a model and a batch to logits


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's predictions for one part as tensors, and its loss; every tensor is on the CPU.

    arrays: the same predictions as NumPy arrays, whose memory the tensors share.
    loss: the mean over the N examples, by the model's own loss where it has one.
    """

    arrays: Predictions
    loss: float

    @property
    def part(self) -> str:
        """The part: `train`, `val`, `test`, or the name of a variant: `test-rotated-25`."""
        return self.arrays.part

    @property
    def logits(self) -> Tensor:
        """The model's logits, float32 (N, K), not softmaxed."""
        return torch.from_numpy(self.arrays.logits)

    @property
    def labels(self) -> Tensor:
        """The true classes, int64 (N,)."""
        return torch.from_numpy(self.arrays.labels)

    @property
    def indices(self) -> Tensor:
        """Each image's place in the data set's own part, int64 (N,)."""
        return torch.from_numpy(self.arrays.indices)

    @property
    def predicted(self) -> Tensor:
        """The class with the highest logit, int64 (N,)."""
        return torch.from_numpy(self.arrays.predicted)

    @property
    def probabilities(self) -> Tensor:
        """The logits softmaxed, float32 (N, K): rows that sum to 1."""
        return torch.from_numpy(self.arrays.probabilities)

    @property
    def losses(self) -> Tensor:
        """The cross-entropy of each image, float64 (N,)."""
        return torch.from_numpy(self.arrays.losses)

    @property
    def confusion(self) -> Tensor:
        """Images of class i predicted as class j: int64 (K, K), rows true, columns predicted."""
        return torch.from_numpy(self.arrays.confusion)

    @property
    def accuracy(self) -> float:
        """The fraction of right predictions, 0–1."""
        return self.arrays.accuracy

    @property
    def top5(self) -> float | None:
        """The fraction, 0–1, whose label has one of the five highest logits.

        None where there are at most ten classes.
        """
        if self.logits.shape[1] <= 10:
            return None
        highest = self.logits.topk(5, dim=1).indices
        return (highest == self.labels[:, None]).any(1).double().mean().item()

    def figures(self, name: str = "") -> dict[str, float]:
        """Returns the logged metrics as `<name>/accuracy`, …; the name is the part by default.

        They are loss, accuracy and, where there are more than ten classes, top5-accuracy.
        """
        figures = {"loss": self.loss, "accuracy": self.accuracy}
        top5 = self.top5
        if top5 is not None:
            figures["top5-accuracy"] = top5
        return {f"{name or self.part}/{what}": value for what, value in figures.items()}


def whole(model: nn.Module, images: Tensor) -> Tensor:
    """Returns the model's logits (n, K) for standardised images (n, C, H, W)."""
    logits: Tensor = model(images)
    return logits


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts `model` in evaluation mode, and restores every module's mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def set_training_mode(model: nn.Module) -> None:
    """Puts `model` into training mode, all but its frozen batch normalisation.

    Batch normalisation that has parameters, none of which requires a gradient, goes into
    evaluation mode: its running statistics belong to the frozen weights. That without
    parameters has nothing to be frozen by, and trains.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            needs = [parameter.requires_grad for parameter in module.parameters()]
            module.train(not needs or any(needs))


def evaluate(
    model: nn.Module,
    batches: Batches,
    *,
    part: str,
    precision: Precision | None = None,
    forward: Forward = whole,
    group: Group = ALONE,
) -> Evaluation:
    """Returns the predictions and the loss of `model`, in evaluation mode, in one pass.

    Every module's mode is restored. `batches` are taken in the selection's order.
    The loss is the plain one, without label smoothing or class weights, so that runs compare.
    `forward` computes the logits, where the batches are not images but features.
    Of a `group` of processes rank 0 calls it, and the others `evaluate_share`, of the same model.
    """
    labels, indices = batches.labels.cpu(), batches.store.selection.indices
    logits, losses = evaluate_share(model, batches, precision, forward, group)
    predictions = Predictions(part, logits.numpy(), labels.numpy(), indices.numpy())
    return Evaluation(predictions, losses.double().sum().item() / len(labels))


def evaluate_share(
    model: nn.Module,
    batches: Batches,
    precision: Precision | None,
    forward: Forward,
    group: Group,
) -> tuple[Tensor, Tensor]:
    """Returns the logits, float32 (N, K), and the loss of each batch times its size, on the CPU.

    Of a group of processes each takes some of the batches, as whole ones: changes of them are drawn
    by batch. Rank 0 returns what all of them came to; what others return is not whole.
    """
    loss_of = criterion(model)
    autocast = precision.autocast if precision else nullcontext
    logits = torch.empty(0)
    losses = torch.empty(len(batches), device=batches.device)
    own = range(group.rank, len(batches), group.size)
    with evaluating(model):
        for place, (images, targets) in zip(
            own, batches.epoch(0, own.start, own.step), strict=True
        ):
            with torch.inference_mode(), autocast():
                outputs = forward(model, images)
            if not len(logits):
                logits = torch.empty(len(batches.labels), outputs.shape[1])
            start = place * batches.batch_size
            with torch.inference_mode():
                losses[place] = loss_of(outputs, targets) * len(targets)  # no list: see Tally
                logits[start : start + len(outputs)] = outputs  # one copy only: K may be large
    losses = losses.cpu()
    if group.rank and own:
        rows = logits.split(batches.batch_size)
        group.send(torch.cat([rows[place] for place in own]), losses[list(own)])
    for rank in range(1, 1 if group.rank else group.size):
        take_share(group, rank, batches, logits, losses)
    return logits, losses


def take_share(group: Group, rank: int, batches: Batches, logits: Tensor, losses: Tensor) -> None:
    """Puts into rank 0's `logits` and `losses` what another process computed of them.

    Args:
        group: the processes.
        rank: of the other one.
        batches: that they took in turns.
        logits: float32 (N, K), on the CPU. losses: of each batch, on the CPU.
    """
    theirs = list(range(rank, len(batches), group.size))
    if not theirs:
        return
    rows = logits.split(batches.batch_size)
    some, own = torch.cat([rows[place] for place in theirs]), losses[theirs]
    group.receive(rank, some)
    group.receive(rank, own)
    losses[theirs] = own
    for place, part in zip(theirs, some.split(batches.batch_size), strict=True):
        rows[place].copy_(part)
