"""Batch normalisation over the images of all processes that train together.

torch's own SyncBatchNorm takes the place of a model's modules, and works on accelerators only.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from mlrun.machine.group import Group


class Synchronised(TorchFunctionMode):
    """In such a block, batch normalisation in training mode is over the images of all processes.

    All of them are to go through the same layers. The model stays as it is, and what is trained is
    saved, copied and exported as ever.

    Args:
        group: the processes.
        counts: whether this one's images do. Those that stand in for none are normalised like the
            others, and have no part in means and variances.
    """

    def __init__(self, group: Group, *, counts: bool) -> None:
        super().__init__()
        self.group, self.counts = group, counts

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls `func`, which is any function of torch."""
        kwargs = kwargs or {}
        return self.normalise(*args, **kwargs) if func is F.batch_norm else func(*args, **kwargs)

    def normalise(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Returns what `F.batch_norm` does of the input, (n, C, …), of all processes together."""
        if not training:
            return F.batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
        count, mean, variance = self.statistics(input.detach())
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = variance * (count / (count - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        normalised: Tensor = OverAll.apply(input, weight, bias, (count, mean, variance), eps, self)
        return normalised

    def statistics(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns how many numbers a channel has, their mean and their variance, (C,) each.

        They are in float32, or float64 where the inputs are.
        """
        inputs = precise(inputs)
        here = inputs.new_zeros(3, inputs.shape[1])
        if self.counts:
            here[0] = inputs.numel() // inputs.shape[1]
            here[2], here[1] = torch.var_mean(inputs, others_than_channels(inputs), correction=0)
        counts, means, variances = self.group.stack(here).unbind(1)
        count = counts.sum(0)
        mean = (counts * means).sum(0) / count
        return count, mean, (counts * (variances + (means - mean).square())).sum(0) / count


class OverAll(torch.autograd.Function):
    """Normalisation by statistics to which the inputs of all processes have contributed."""

    @staticmethod
    def forward(
        context: Any,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        statistics: tuple[Tensor, Tensor, Tensor],
        eps: float,
        block: Synchronised,
    ) -> Tensor:
        """Returns the inputs, (n, C, …), normalised."""
        context.save_for_backward(inputs, weight, *statistics)
        context.eps, context.block = eps, block
        return F.batch_norm(inputs, *statistics[1:], weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of inputs, weight and bias."""
        inputs, weight, count, mean, variance = context.saved_tensors
        shape = (-1, *[1] * (inputs.ndim - 2))  # to be multiplied with (n, C, …)
        scale = (variance + context.eps).rsqrt()
        normalised = (precise(inputs) - mean.view(shape)) * scale.view(shape)
        of_outputs = precise(gradients)
        dims = others_than_channels(inputs)
        here = torch.stack([of_outputs.sum(dims), (of_outputs * normalised).sum(dims)])
        of_bias, of_weight = (None, None) if weight is None else here.clone().to(weight.dtype)
        means = context.block.group.sum(here) / count
        if context.block.counts:
            by_mean, by_variance = (values.view(shape) for values in means)
            factor = scale if weight is None else scale * weight
            of_inputs = (of_outputs - by_mean - normalised * by_variance) * factor.view(shape)
        else:
            of_inputs = torch.zeros_like(inputs)
        return of_inputs.to(inputs.dtype), of_weight, of_bias, None, None, None


def precise(values: Tensor) -> Tensor:
    """Returns numbers in float32, or in float64 where they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def others_than_channels(inputs: Tensor) -> list[int]:
    """Returns the dimensions of (n, C, …) over which a channel's mean is taken."""
    return [0, *range(2, inputs.ndim)]
