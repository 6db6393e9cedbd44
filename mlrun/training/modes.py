"""Training mode, in which what is frozen stays as it is."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def set_training_mode(model: nn.Module) -> None:
    """Puts `model` into training mode, all but its frozen batch normalisation.

    Batch normalisation that has parameters, none of which requires a gradient, goes into
    evaluation mode: its running statistics belong to the frozen weights. That without
    parameters has nothing to be frozen by, and trains.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            needs = [parameter.requires_grad for parameter in module.parameters()]
            module.train(not needs or any(needs))
