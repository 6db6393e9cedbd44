"""Optimisers by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mlrun.settings import Settings
from mlrun.training.parts import part_groups


def make_optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings name, over the model's parameters.

    A model with a method `parameter_groups(lr)` says itself which parameters are trained
    and at which rate; else the first group is of those that are trained at `lr`.
    """
    own = getattr(model, "parameter_groups", None)
    if own is not None:
        groups: Any = own(settings.lr)
    else:
        groups = part_groups(model, settings.part_lrs, settings.lr)
    shared: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, **shared, momentum=settings.momentum)
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            groups, **shared, momentum=settings.momentum, nesterov=settings.nesterov
        )
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, **shared)
