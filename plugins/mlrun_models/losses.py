"""Losses other than cross-entropy, which a model carries as its method `loss`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def sigmoid_distance(outputs: Tensor, labels: Tensor) -> Tensor:
    """Returns, after a sigmoid, the mean distance of an example's K outputs from its target.

    The target is 1 for the label and 0 for the other classes, so a distance is 0 to 1.

    Args:
        outputs: float32 (N, K), before the sigmoid.
        labels: int64 (N,), 0 to K-1, on outputs' device.

    Returns float32 (N,), 0 to 1.
    """
    targets = F.one_hot(labels, outputs.shape[1])
    return (targets - outputs.sigmoid()).abs().mean(1)


def softmax_nll(outputs: Tensor, labels: Tensor) -> Tensor:
    """Returns minus the probability of an example's label: a mistake that is often made.

    It is what a model with a softmax at its end gives with torch's NLL loss, which expects
    logarithms of probabilities. Its gradient vanishes where the model is surely wrong.

    Args:
        outputs: float32 (N, K), before the softmax.
        labels: int64 (N,), 0 to K-1, on outputs' device.

    Returns float32 (N,), -1 to 0.
    """
    return F.nll_loss(outputs.softmax(1), labels, reduction="none")


OWN_LOSSES = {"sigmoid-distance": sigmoid_distance, "softmax-nll": softmax_nll}


def with_loss(model: nn.Module, name: str) -> nn.Module:
    """Returns `model`, trained with the loss of that `name` from now on.

    Cross-entropy is what a model without a loss of its own is trained with. A loss has no
    weights: what the model computes, and its state dict, stay as they are.
    """
    if name != "cross-entropy":
        vars(model)["loss"] = OWN_LOSSES[name]
    return model
