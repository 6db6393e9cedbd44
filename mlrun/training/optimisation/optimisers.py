"""Makes optimisers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.settings import Settings
from mlrun.training.optimisation.parts import part_groups

FUSING = ("cpu", "cuda", "xpu", "mps")  # devices that have Adam's step as one operation


def make_optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Returns the optimiser that the settings name, over the model's parameters.

    A model's method `parameter_groups(lr)`, if it has one, gives the parameters that are
    trained and their rates; else the first group is of those that are trained at `lr`.
    """
    own = getattr(model, "parameter_groups", None)
    if own is not None:
        groups: Any = own(settings.lr)
    else:
        groups = part_groups(model, settings.part_lrs, settings.lr)
    shared: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimiser == "rmsprop":
        return without_profiler(torch.optim.RMSprop)(groups, **shared, momentum=settings.momentum)
    if settings.optimiser == "sgd":
        return without_profiler(torch.optim.SGD)(
            groups, **shared, momentum=settings.momentum, nesterov=settings.nesterov
        )
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return without_profiler(kind)(groups, **shared, fused=all(map(fusible, model.parameters())))


def fusible(parameter: Tensor) -> bool:
    """Whether torch has a fused Adam step for the parameter: a tenth off a step of LeNet."""
    return parameter.is_floating_point() and parameter.device.type in FUSING


@cache
def without_profiler(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Returns torch's optimiser with its methods as written, without torch's wrappers of them.

    The wrappers are for torch's profiler and for torch.compile, whose import takes 2 s at the start
    of every run; without them a step takes a few µs less. Hooks of the optimiser's step, which
    nothing here uses, are not called.
    """
    names = ("add_param_group", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step: Any = torch.no_grad()(inspect.unwrap(kind.step))
    step.hooked = True  # torch's mark for "wrapped already"; else its __init__ would wrap it again
    return type(kind.__name__, (kind,), {**methods, "step": step})
