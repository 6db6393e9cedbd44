"""The loss of a batch and its gradients: of one process, or averaged over several by torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mlrun.data.batches import Batches
from mlrun.data.shares import STAND_INS
from mlrun.machine.group import Group
from mlrun.machine.randomness import own_random_states
from mlrun.training.evaluation import set_training_mode
from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState
from mlrun.training.synchronised import Synchronised


class Targets(NamedTuple):
    """What a batch's images are compared with.

    labels, others: int64 (n,); the images' own, and those that were mixed in.
    share: of an image's own label, 0–1.
    rows: how many of them count: all, or none where they stand in.
    examples: of the whole step.
    """

    labels: Tensor
    others: Tensor
    share: float
    rows: int
    examples: int


class Loss(nn.Module):
    """A model together with its loss: images and targets to the loss that they add, and logits."""

    def __init__(self, model: nn.Module, procedure: Procedure, group: Group) -> None:
        super().__init__()
        self.model, self.procedure, self.group = model, procedure, group

    def forward(self, images: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Returns what the images add to the mean loss of their step, and their logits (n, K)."""
        labels, others, share, rows, examples = targets
        procedure = self.procedure
        with self.synchronised(rows), procedure.precision.autocast():
            logits = procedure.forward(self.model, images)
        loss = procedure.loss_of(logits, labels)
        if share < 1:
            loss = share * loss + (1 - share) * procedure.loss_of(logits, others)
        return loss * (rows / examples) if rows < examples else loss, logits.detach()

    def synchronised(self, rows: int) -> AbstractContextManager[object]:
        """Returns the block in which batch normalisation is over all processes' images, if asked.

        `rows` is how many of this one's count.
        """
        if self.group.size > 1 and self.procedure.sync_batch_norm:
            return Synchronised(self.group, counts=rows > 0)
        return nullcontext()


class Gradients:
    """The gradients of one process alone."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def loss_of(self, images: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Returns what `Loss` returns; its `backward` adds gradients to those that are there."""
        return self.loss.forward(images, targets)

    def alone(self) -> AbstractContextManager[None]:
        """Returns the block in which gradients are not averaged yet: others of the step follow."""
        return nullcontext()

    def complete(self, parameters: Sequence[nn.Parameter]) -> None:
        """Is called at the end of a step's backward passes."""


class AveragedGradients(Gradients):
    """Gradients that torch's DistributedDataParallel averages over all processes.

    The last bits of a sum depend on where in what is sent a gradient lies. torch settles that after
    its first step, by the order in which gradients are ready; a run that is taken up would begin
    with another. So one pass is made that counts for nothing, before the first step.

    A layer that takes no part keeps the others waiting. Where the model has one, torch is told to
    look for such layers, which costs an exchange a step, as it does where several batches make a
    step. In another model a layer may be left out now and then, by a draw: then its gradient is 0.

    Args:
        loss: of the model.
        group: the processes.
        batches: of the training, whose first image stands for all in the passes that count for
            nothing.
    """

    def __init__(self, loss: Loss, group: Group, batches: Batches) -> None:
        super().__init__(loss)
        with of_no_account(loss.model, batches.device):
            first_pass(loss, batches)
            used = [p.grad is not None for p in loss.parameters() if p.requires_grad]
        self.all_used = group.share(all(used) and batches.batching.accumulate == 1)
        if not self.all_used:
            some = next(loss.parameters())
            loss.unused = nn.Parameter(some.new_zeros(1))  # without one, torch warns
        self.together = DistributedDataParallel(
            loss,
            process_group=group.tensors,
            find_unused_parameters=not self.all_used,
            gradient_as_bucket_view=True,  # they are not copied back
        )
        with of_no_account(loss.model, batches.device):
            first_pass(self.together, batches)

    def loss_of(self, images: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Returns what `Loss` returns; the gradients of the last `backward` are averaged."""
        loss, logits = self.together(images, targets)
        return loss, logits

    def alone(self) -> AbstractContextManager[None]:
        """Returns the block in which gradients are not averaged yet: others of the step follow."""
        return self.together.no_sync()

    def complete(self, parameters: Sequence[nn.Parameter]) -> None:
        """Gives a gradient of 0 to what took no part in the step here, for which others wait."""
        left_out = [parameter for parameter in parameters if parameter.grad is None]
        if left_out and self.all_used:
            torch.stack([parameter.sum() for parameter in left_out]).sum().mul(0).backward()


def gradients_of(state: TrainingState, procedure: Procedure, batches: Batches) -> Gradients:
    """Returns the gradients of a training; each process of a group is to call it."""
    loss = Loss(state.model, procedure, state.group)
    if state.group.size == 1 or state.step >= procedure.steps:
        return Gradients(loss)
    return AveragedGradients(loss, state.group, batches)


@contextmanager
def of_no_account(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Has what is computed in training mode in the block leave no trace in the model."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    modes = [(module, module.training) for module in model.modules()]
    set_training_mode(model)
    try:
        with own_random_states(device):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for parameter in model.parameters():
            parameter.grad = None
        for module, training in modes:
            module.training = training


def first_pass(loss: nn.Module, batches: Batches) -> None:
    """Passes the first image through a loss and back, as often as it takes."""
    images = batches.gather(torch.zeros(STAND_INS, dtype=torch.int64))
    labels = batches.labels[:1].repeat(STAND_INS)
    value, _ = loss(images, Targets(labels, labels, 1.0, STAND_INS, STAND_INS))
    value.backward()
