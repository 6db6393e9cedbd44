"""The gradients of one optimiser step, a part of its batch at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from mlrun.training.procedure import Procedure
from mlrun.training.state import TrainingState

Targets = tuple[Tensor, Tensor, float]  # labels, labels mixed in, and the share of the first


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
    results = []
    parts = (tensor.split(batch_size) for tensor in (images, labels, others))
    for inputs, own, other in zip(*parts, strict=True):
        results.append(backward_part(state, inputs, (own, other, share), procedure, len(labels)))
    losses, logits = zip(*results, strict=True)
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
