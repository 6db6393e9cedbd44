"""The loss of a batch: the model's own, or cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy of a batch.

    label_smoothing: the share of each label that is spread over all classes.
    weights: of each class, float32 (K,), on the model's device, if they are not all 1.
    """

    label_smoothing: float = 0.0
    weights: Tensor | None = None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of logits (n, K) and labels (n,), a scalar."""
        logits, smoothing = precise(logits), self.label_smoothing
        if self.weights is None:  # the same in one operation less
            return F.cross_entropy(logits, labels, label_smoothing=smoothing)
        if not smoothing:
            return weighted(logits, labels, self.weights)
        return weighted_cross_entropy(logits, labels, self.weights, smoothing)


@dataclass(frozen=True)
class OwnLoss:
    """The loss of a batch as a model has it.

    of: its method `loss`.
    """

    of: Callable[[Tensor, Tensor], Any]

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of logits (n, K) and labels (n,), a scalar."""
        value: Tensor = self.of(precise(logits), labels)
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape not in ((), tuple(labels.shape)):
            raise TypeError(f"it returned {shape}; expected a scalar mean or {tuple(labels.shape)}")
        return value.sum() / labels.numel() if value.ndim else value


def criterion(
    model: nn.Module, *, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> CrossEntropy | OwnLoss:
    """Returns the loss of a batch: a sum over its examples divided by their true number.

    That is the model's own `loss(outputs, labels)` if it has one, a scalar mean or one value
    for each example; else cross-entropy. It maps logits (n, K) and labels (n,) to a scalar.

    Args:
        label_smoothing: the share of each label that is spread over all classes.
        weights: of each class, float32 (K,), on the model's device. An example's loss, smoothed
            or not, is multiplied by the weight of its own class; the sum is divided by the number
            of examples, not by the sum of their weights.
    """
    own = getattr(model, "loss", None)
    return CrossEntropy(label_smoothing, weights) if own is None else OwnLoss(own)


def precise(logits: Tensor) -> Tensor:
    """Returns logits in float32, or in float64 where the model computes in that."""
    return logits if logits.dtype == torch.float64 else logits.float()


def weighted(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Returns the mean over the examples of `weights[label]` times the cross-entropy."""
    summed = F.cross_entropy(logits, labels, weight=weights.to(logits.dtype), reduction="sum")
    return summed / labels.numel()


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor, label_smoothing: float
) -> Tensor:
    """Returns the mean over the examples of `weights[label]` times the smoothed cross-entropy.

    torch's own multiplies the smoothed share of each class by that class's weight: where one class
    is rare, and its weight large, every example is drawn to it.
    """
    losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
    return (losses * weights[labels]).sum() / labels.numel()
