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
from mlrun.training.tally import Answers, count_right


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

    def answers(self, logits: Tensor) -> Answers:
        """Returns detached logits (n, K) with these, those that count."""
        labels, others, share, rows, _ = self
        if rows < len(labels):
            logits, labels, others = logits[:rows], labels[:rows], others[:rows]
        return Answers(logits, labels, others, share)


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


class LossAndRight(Loss):
    """A loss that counts right predictions, too, and has both summed over all processes.

    Its parameter `totals` is 0, so that what it is multiplied with, what the images add to the mean
    loss of their step and how many predictions are right, is its gradient: it is summed as
    gradients are, without an exchange of its own.
    """

    def __init__(self, model: nn.Module, procedure: Procedure, group: Group) -> None:
        super().__init__(model, procedure, group)
        some = next(model.parameters())
        dtype = torch.promote_types(some.dtype, torch.float32)  # which holds whole numbers
        self.totals = nn.Parameter(some.new_zeros(2, dtype=dtype))

    def forward(self, images: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Returns what `Loss` returns."""
        loss, logits = super().forward(images, targets)
        (right,) = count_right([targets.answers(logits)])
        own = torch.stack([value.to(self.totals.dtype) for value in (loss.detach(), right)])
        return loss + (self.totals * own).sum(), logits


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

    def totals(self) -> Tensor | None:
        """Returns a step's mean loss and number of right predictions, of all processes, (2,).

        Both are multiplied as the gradients are. None of one process alone, who has the answers.
        """
        return None


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

    loss: LossAndRight

    def __init__(self, loss: LossAndRight, group: Group, batches: Batches) -> None:
        super().__init__(loss)
        with of_no_account(loss, batches.device):
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
        with of_no_account(loss, batches.device):
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

    def totals(self) -> Tensor:
        """Returns what all processes' images come to; see `Gradients.totals`."""
        totals = self.loss.totals
        assert totals.grad is not None  # of the backward pass that is done
        summed, totals.grad = totals.grad.clone(), None
        return summed


def gradients_of(state: TrainingState, procedure: Procedure, batches: Batches) -> Gradients:
    """Returns the gradients of a training; each process of a group is to call it."""
    group = state.group
    if group.size == 1 or state.step >= procedure.steps:
        return Gradients(Loss(state.model, procedure, group))
    return AveragedGradients(LossAndRight(state.model, procedure, group), group, batches)


@contextmanager
def of_no_account(loss: nn.Module, device: torch.device) -> Iterator[None]:
    """Has what is computed in training mode in the block leave no trace in a loss and its model."""
    buffers = [(buffer, buffer.clone()) for buffer in loss.buffers()]
    modes = [(module, module.training) for module in loss.modules()]
    set_training_mode(loss)
    try:
        with own_random_states(device):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for parameter in loss.parameters():
            parameter.grad = None
        for module, training in modes:
            module.training = training


def first_pass(loss: nn.Module, batches: Batches) -> None:
    """Passes the first image through a loss and back, as often as it takes."""
    images = batches.gather(torch.zeros(STAND_INS, dtype=torch.int64))
    labels = batches.labels[:1].repeat(STAND_INS)
    value, _ = loss(images, Targets(labels, labels, 1.0, STAND_INS, STAND_INS))
    value.backward()
