"""The loss of a batch: the model's own, or cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion(
    model: nn.Module, *, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Criterion:
    """Returns the loss of a batch: a sum over its examples divided by their true number.

    That is the model's own `loss(outputs, labels)` if it has one, a scalar mean or one value
    for each example; else cross-entropy. It maps logits (n, K) and labels (n,) to a scalar.

    Args:
        label_smoothing: the share of each label that is spread over all classes.
        weights: of each class, float32 (K,), on the model's device; the weighted sum is
            divided by the number of examples, not by the sum of their weights.
    """
    own = getattr(model, "loss", None)
    if own is None and weights is None:  # the same in one operation less
        return lambda logits, labels: F.cross_entropy(
            logits.float(), labels, label_smoothing=label_smoothing
        )
    if own is None:
        return lambda logits, labels: (
            F.cross_entropy(
                logits.float(),
                labels,
                weight=weights,
                reduction="sum",
                label_smoothing=label_smoothing,
            )
            / labels.numel()
        )

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = own(logits.float(), labels)
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape not in ((), tuple(labels.shape)):
            raise TypeError(f"it returned {shape}; expected a scalar mean or {tuple(labels.shape)}")
        return value.sum() / labels.numel() if value.ndim else value

    return loss
