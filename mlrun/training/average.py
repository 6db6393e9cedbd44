"""A running average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """The exponential moving average of a model's weights and buffers, in a model of its own.

    After step t it is d of itself and 1 - d of the model, where d is the smaller of `decay`
    and (1 + t) / (10 + t), so that the first weights are soon forgotten (as TensorFlow's
    ExponentialMovingAverage has it). Whole numbers, such as a count of batches, are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self.decay = decay
        pairs = list(zip(tensors_of(self.model), tensors_of(model), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self.averages, self.weights = [a for a, _ in floats], [w for _, w in floats]
        self.counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the averages with the model's weights after optimiser step `step`, from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(self.averages, self.weights, step)
        for average, weight in self.counts:
            average.copy_(weight)


def tensors_of(model: nn.Module) -> list[Tensor]:
    """Returns the model's parameters and buffers, detached but not copied."""
    return [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
