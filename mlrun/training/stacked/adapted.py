"""Layers as the members of a stack compute them, in a model that `vmap` calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Draws:
    """What each of K models draws from in one step, on the CPU: as it does where it is alone."""

    def __init__(self, count: int) -> None:
        self.generators = [torch.Generator() for _ in range(count)]

    def seed(self, seeds: Sequence[int]) -> None:
        """Sets the seeds of a step, one for each model."""
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)

    def masks(self, shape: Sequence[int], p: float, dtype: torch.dtype) -> Tensor:
        """Returns what dropout multiplies by: 0, or 1 / (1 - p); (K, *shape)."""
        masks = torch.empty(len(self.generators), *shape, dtype=dtype)
        for mask, generator in zip(masks, self.generators, strict=True):
            mask.bernoulli_(1 - p, generator=generator)
        return masks.div_(1 - p)


class Dropped(torch.autograd.Function):
    """Values with each model's own dropout.

    `vmap` draws for all models at once, or the same for each; so they are drawn outside of it.
    """

    @staticmethod
    def forward(values: Tensor, p: float, draws: Draws) -> Tensor:
        """Is never called: under `vmap` the method of that name is."""
        raise NotImplementedError

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keeps nothing."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, values: Tensor, p: float, draws: Draws) -> Any:
        """Returns the values (K, …) of all models, and which dimension is theirs."""
        values = values.movedim(in_dims[0], 0)
        return values * draws.masks(values.shape[1:], p, values.dtype), 0


def dropout(layer: nn.Dropout, draws: Draws, values: Tensor) -> Tensor:
    """Returns what the layer makes of one model's values, with its own draws."""
    if not layer.training or not 0 < layer.p < 1:  # nothing is drawn
        return F.dropout(values, layer.p, layer.training) if layer.p < 1 else values * 0.0
    dropped: Tensor = Dropped.apply(values, layer.p, draws)
    return dropped


def linear(layer: nn.Linear, values: Tensor) -> Tensor:
    """Returns what the layer makes of one model's values.

    Written with the weights first, their gradient comes out of a batched product as they lie. As
    torch has it, it comes out transposed and is copied: a quarter of a small perceptron's step.
    """
    if values.ndim != 2:
        return F.linear(values, layer.weight, layer.bias)
    product = (layer.weight @ values.t()).t()
    return product if layer.bias is None else product + layer.bias.to(product.dtype)


def adapt(model: nn.Module, draws: Draws) -> None:
    """Has the layers of `model` compute as those of a stack; it is then for `vmap` alone."""
    for layer in model.modules():
        if type(layer) is nn.Linear:
            vars(layer)["forward"] = partial(linear, layer)
        elif type(layer) is nn.Dropout and draws.generators:
            vars(layer)["forward"] = partial(dropout, layer, draws)
