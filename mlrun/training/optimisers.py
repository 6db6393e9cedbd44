"""Optimisers by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mlrun.settings import Settings


def make_optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings name, over the model's parameters.

    A model with a method `parameter_groups(lr)` says itself which parameters are trained
    and at which rate.
    """
    own = getattr(model, "parameter_groups", None)
    if own is not None:
        groups: Any = own(settings.lr)
    else:
        groups = [p for p in model.parameters() if p.requires_grad]
    shared: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, **shared, momentum=settings.momentum)
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            groups, **shared, momentum=settings.momentum, nesterov=settings.nesterov
        )
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, **shared)
