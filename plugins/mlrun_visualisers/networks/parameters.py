"""Statistics of a model's weights and of the gradients of its loss, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlrun import MlrunError, View
from mlrun.plugin import criterion
from mlrun_visualisers.canvas.choice import spread

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
MOST_SORTED = 2**20  # values of a layer that quantiles and histograms are of; of more, each k-th
PIXELS_AT_ONCE = 2**21  # of the images that go through the model together
Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """Statistics of some numbers; all NaN where there are none.

    quantiles: float64 (9,), at `QUANTILES`.
    """

    mean: float
    std: float
    mean_absolute: float
    norm: float
    quantiles: Numbers

    @property
    def row(self) -> Numbers:
        """All of them in this order, float64 (13,)."""
        return np.array([self.mean, self.std, self.mean_absolute, self.norm, *self.quantiles])


@dataclass(frozen=True)
class Layer:
    """A parameter, and the gradient of the loss with respect to it.

    name: as `named_parameters` gives it.
    weights, gradients: float32 (n,), on the CPU; gradients are None where there are none, and
        `why` is the reason.
    """

    name: str
    shape: tuple[int, ...]
    weights: Floats
    gradients: Floats | None
    why: str = ""


def layers_of(view: View, names: Sequence[str], images: int) -> list[Layer]:
    """Returns the parameters that are drawn, with the gradients of the loss on a fixed batch.

    Args:
        names: of parameters, or of modules that hold them; by default all with two or
            more axes, of many some that are spread over the network.
        images: how many training images the loss is of, the first ones.
    """
    parameters = parameters_of(view, names)
    gradients = gradients_of(view, parameters, images)
    return [
        Layer(
            name,
            tuple(parameter.shape),
            flat(parameter),
            None if gradients[name] is None else flat(gradients[name]),
            "not used" if parameter.requires_grad else "frozen",
        )
        for name, parameter in parameters.items()
    ]


def parameters_of(view: View, layers: Sequence[str]) -> dict[str, nn.Parameter]:
    """Returns the parameters of two or more axes that are drawn, by name."""
    parameters = {name: p for name, p in view.model.named_parameters() if p.ndim >= 2}
    if not parameters:
        raise MlrunError("weight-statistics: the model has no parameter of two or more axes")
    names: list[str] = []
    for layer in layers:
        matches = [name for name in parameters if name == layer or name.startswith(f"{layer}.")]
        if not matches:
            raise MlrunError(
                f"weight-statistics: there is no layer {layer} with parameters of two or more "
                f"axes; there are: {', '.join(parameters)}"
            )
        names += matches
    names = names or spread(view, list(parameters), "weight-statistics")
    return {name: parameters[name] for name in names}


def gradients_of(
    view: View, parameters: Mapping[str, nn.Parameter], images: int
) -> dict[str, Tensor | None]:
    """Returns the gradient of the loss with respect to each parameter, or None.

    The loss is the model's own or cross-entropy, its mean over the first `images` training
    images, in evaluation mode; it is frozen parameters, and those that the loss does not depend
    on, that have no gradient.
    """
    gradients: dict[str, Tensor | None] = dict.fromkeys(parameters)
    trainable = {name: p for name, p in parameters.items() if p.requires_grad}
    labels = view.labels("train")[:images].to(view.device)
    loss_of = criterion(view.model)
    at_once = max(1, PIXELS_AT_ONCE // math.prod(view.shape))
    for places in torch.arange(len(labels)).split(at_once):
        inputs = view.inputs(view.images("train", places.tolist()))
        with torch.enable_grad():
            loss = loss_of(view.model(inputs), labels[places.to(view.device)])
            loss = loss * (len(places) / len(labels))
        if not (trainable and loss.requires_grad):
            continue
        parts = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
        for name, part in zip(trainable, parts, strict=True):
            before = gradients[name]
            if part is not None:
                gradients[name] = part if before is None else before + part
    return gradients


def flat(tensor: Tensor | None) -> Floats:
    """Returns a tensor's values in a row, float32 (n,), on the CPU."""
    assert tensor is not None
    values: Floats = tensor.detach().float().cpu().flatten().numpy()
    return values


def figures_of(values: Floats | None) -> Figures:
    """Returns the statistics of values; those that are not finite are left out."""
    finite = np.empty(0, np.float32) if values is None else values[np.isfinite(values)]
    if not finite.size:
        return Figures(math.nan, math.nan, math.nan, math.nan, np.full(len(QUANTILES), math.nan))
    absolute = np.abs(finite)
    return Figures(
        mean=float(finite.mean(dtype=np.float64)),
        std=float(finite.std(dtype=np.float64)),
        mean_absolute=float(absolute.mean(dtype=np.float64)),
        norm=float(np.sqrt(np.square(finite, dtype=np.float64).sum())),
        quantiles=np.quantile(some_of(finite).astype(np.float64), QUANTILES),
    )


def some_of(values: Floats) -> Floats:
    """Returns the values, of very many each k-th."""
    return values[:: -(-values.size // MOST_SORTED)]
