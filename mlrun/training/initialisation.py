"""Initialisation: draws new weights from a named distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from mlrun.errors import MlrunError
from mlrun.machine.randomness import generator

WEIGHTS: dict[str, Callable[..., Tensor]] = {
    "normal": init.normal_,
    "xavier-uniform": init.xavier_uniform_,
    "xavier-normal": init.xavier_normal_,
    "kaiming-uniform": partial(init.kaiming_uniform_, mode="fan_in", nonlinearity="relu"),
    "kaiming-normal": partial(init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
    "orthogonal": init.orthogonal_,
}


@torch.no_grad()
def initialise(model: nn.Module, name: str, seed: int) -> None:
    """Draws new weights for the linear and convolutional layers that are trained, in place.

    Weights are drawn by torch's function of that name, one layer after the other from one
    generator, on the CPU, so that they are the same on every device. Biases are 0, but
    standard normal, as the weights are, for `normal`.

    Args:
        model: parameters that require no gradient are not changed.
        name: `default` (the model is not changed) or one of `WEIGHTS`.
        seed: the run's seed.

    Raises:
        MlrunError: a layer's weights are computed or have no shape, or no layer is trained.
    """
    if name == "default":
        return
    parameters = [pair for path, layer in model.named_modules() for pair in drawable(path, layer)]
    if not parameters:
        raise MlrunError(
            f"initialisation {name}: it has no linear or convolutional layer that is trained; "
            "leave it out"
        )
    source = generator(seed, "initialisation", "weights")
    for kind, parameter in parameters:
        if kind == "weight" or name == "normal":
            fresh = torch.empty_like(parameter, device="cpu")
            parameter.copy_(WEIGHTS[name](fresh, generator=source))
        else:
            parameter.zero_()


def drawable(path: str, layer: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yields the weight and the bias of a linear or convolutional layer, if they are trained.

    Raises:
        MlrunError: they are no parameters with a shape.
    """
    if not isinstance(layer, nn.Linear | _ConvNd):
        return
    if not any(parameter.requires_grad for parameter in layer.parameters()):
        return
    for kind in ("weight", "bias"):
        parameter = getattr(layer, kind)
        if parameter is None:
            continue
        if not isinstance(parameter, nn.Parameter) or is_lazy(parameter):
            reason = "has no shape yet" if is_lazy(parameter) else "is computed from others"
            raise MlrunError(
                f"initialisation: the {kind} of layer {path} {reason}, so it cannot be drawn anew; "
                "leave initialisation out"
            )
        if parameter.requires_grad:
            yield kind, parameter
