"""torch's optimisers for several models at once, each with its own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlrun.training.stacked.numbers import Numbers
from mlrun.training.stacked.rows import Rows

NUMBERS = {"lr", "weight_decay", "momentum"}  # what may differ between the models


class Trained(NamedTuple):
    """A stacked parameter, and what its optimiser keeps of it, stacked as well."""

    parameter: Tensor
    kept: Mapping[str, Tensor]


class Group:
    """One group of parameters, of K optimisers.

    Args:
        groups: the K groups, as the optimisers hold them.
        trained: its parameters.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], trained: Sequence[Trained]) -> None:
        self.groups, self.trained = groups, trained
        self.shared = groups[0]
        self._numbers = {name: Numbers() for name in NUMBERS}

    def any(self, name: str) -> bool:
        """Whether a number is other than 0 for any model."""
        return any(group[name] for group in self.groups)

    def number(self, name: str, stacked: Tensor) -> Tensor:
        """Returns a number of each model, to multiply a stack by."""
        return self._numbers[name].like([group[name] for group in self.groups], stacked)


class StackedOptimiser:
    """Does the step of K optimisers at once; what they keep are rows of stacks meanwhile.

    Args:
        optimisers: of one kind, with the same groups.
        stacks: by its first model's parameter, each stacked parameter.
        rows: what stacks.
    """

    def __init__(
        self,
        optimisers: Sequence[torch.optim.Optimizer],
        stacks: Mapping[Tensor, Tensor],
        rows: Rows,
    ) -> None:
        self._step = step_of(optimisers[0])
        self.groups = []
        for groups in zip(*(each.param_groups for each in optimisers), strict=True):
            trained, moves = [], any(group.get("momentum") for group in groups)
            for own in zip(*(group["params"] for group in groups), strict=True):
                kept = [
                    kept_of(optimiser, group, parameter, has_momentum=moves)
                    for optimiser, group, parameter in zip(optimisers, groups, own, strict=True)
                ]
                stacked = {name: rows.stack([each[name] for each in kept]) for name in kept[0]}
                trained.append(Trained(stacks[own[0]], stacked))
            self.groups.append(Group(groups, trained))

    @torch.no_grad()
    def step(self) -> None:
        """Changes the stacked parameters by their gradients; those without one stay."""
        for group in self.groups:
            for parameter, kept in group.trained:
                if parameter.grad is not None:
                    self._step(group, parameter, parameter.grad, kept)


def kept_of(
    optimiser: torch.optim.Optimizer,
    group: Mapping[str, Any],
    parameter: Tensor,
    *,
    has_momentum: bool,
) -> dict[str, Tensor]:
    """Returns what an optimiser keeps of a parameter, made where it is not there yet.

    `has_momentum` is whether any of the optimisers has.
    """
    state: dict[str, Any] = optimiser.state[parameter]
    if isinstance(optimiser, torch.optim.SGD):
        if not has_momentum:
            return {}
        velocity = state.get("momentum_buffer")
        if velocity is None:  # from zeros, the first step comes to the same
            velocity = torch.zeros_like(parameter.detach())
        if group["momentum"]:
            state["momentum_buffer"] = velocity
        return {"momentum_buffer": velocity}
    if not state:
        place = parameter.device if group["fused"] else torch.device("cpu")
        state["step"] = torch.zeros((), dtype=torch.float32, device=place)
        state["exp_avg"] = torch.zeros_like(parameter.detach())
        state["exp_avg_sq"] = torch.zeros_like(parameter.detach())
    return state


OneStep = Callable[[Group, Tensor, Tensor, Mapping[str, Tensor]], None]


def step_of(optimiser: torch.optim.Optimizer) -> OneStep:
    """Returns what an optimiser does with a stacked parameter and its gradient."""
    return sgd if isinstance(optimiser, torch.optim.SGD) else adam


def sgd(group: Group, parameter: Tensor, gradient: Tensor, kept: Mapping[str, Tensor]) -> None:
    """Does the step of torch's SGD."""
    if group.any("weight_decay"):
        gradient = gradient.addcmul(parameter, group.number("weight_decay", parameter))
    if group.any("momentum"):
        momentum, velocity = group.number("momentum", parameter), kept["momentum_buffer"]
        velocity.mul_(momentum).add_(gradient)
        nesterov = group.shared["nesterov"]
        gradient = gradient.addcmul(velocity, momentum) if nesterov else velocity
    parameter.addcmul_(gradient, group.number("lr", parameter), value=-1)


def adam(group: Group, parameter: Tensor, gradient: Tensor, kept: Mapping[str, Tensor]) -> None:
    """Does the step of torch's Adam, or of its AdamW, whose decay is not part of the gradient."""
    shared, rates = group.shared, group.number("lr", parameter)
    first, second = shared["betas"]
    steps = kept["step"].add_(1)
    if group.any("weight_decay"):
        decay = group.number("weight_decay", parameter)
        if shared["decoupled_weight_decay"]:
            parameter.mul_(1 - rates * decay)
        else:
            gradient = gradient.addcmul(parameter, decay)
    kept["exp_avg"].lerp_(gradient, 1 - first)
    kept["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    done = steps.double().view(-1, *[1] * (parameter.ndim - 1))
    root = (1 - second**done).sqrt_().to(parameter)
    change = kept["exp_avg_sq"].sqrt().div_(root).add_(shared["eps"])
    torch.div(kept["exp_avg"], change, out=change)
    parameter.addcmul_(change, rates / (1 - first**done).to(parameter), value=-1)
