"""Weights and kernels as images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.choice import spread
from mlrun_visualisers.canvas.figures import framed
from mlrun_visualisers.canvas.grids import WIDEST, beside, grid, resized
from mlrun_visualisers.canvas.scales import (
    Bar,
    Floats,
    Pixels,
    Scale,
    check_limit,
    coloured,
    gap_colour,
    limits,
)

APART = 10  # pixels between units that stand side by side
MOST_CHANNELS = 16  # input channels of a convolution that are drawn


@dataclass(frozen=True)
class Look:
    """How weights are drawn; the options of `mlrun_visualisers.weights`."""

    rows: int | None
    columns: int | None
    most: int
    scale: Scale
    limit: float | None
    cmap: str

    def __post_init__(self) -> None:
        if min(self.most, self.rows or 1, self.columns or 1) < 1 or 0 in (self.rows, self.columns):
            raise MlrunError("weights: rows, columns and most must be at least 1")
        check_limit("weights", self.limit, self.scale)

    def choose(self, units: Floats) -> Floats:
        """Returns those of `units`, (units, channels, h, w), that are drawn: the first ones."""
        room = self.rows * self.columns if self.rows and self.columns else units.size
        channels = min(units.shape[1], MOST_CHANNELS, room)
        return units[: min(self.most, room // channels), :channels]

    def arrange(self, units: int, channels: int) -> tuple[int, int]:
        """Returns the rows and columns of a grid of so many units of so many images each."""
        columns = math.ceil(math.sqrt(units))
        if channels > 1:
            columns = channels * math.ceil(math.sqrt(units / channels))  # wide, not tall
        if self.rows:
            columns = -(-units * channels // self.rows)
        columns = self.columns or columns
        return self.rows or -(-units * channels // columns), columns


def draw_weights(
    view: View, *, layers: tuple[str, ...], look: Look
) -> Iterator[tuple[str, Picture]]:
    """Yields one picture for each layer, named like the layer."""
    for name in layers or default_layers(view):
        yield name, draw_layer(view, name, look)


def draw_layer(view: View, name: str, look: Look) -> Picture:
    """Returns the picture of one layer, and the weights that it shows."""
    values = weight_of(view, name)
    units = units_of(values, view.shape)
    selection = values[None, None] if units is None else look.choose(units)
    rows, columns = (1, 1) if units is None else look.arrange(*selection.shape[:2])
    scale_values = values if look.scale == "power-of-two" and look.limit is None else selection
    low, high, about = limits(scale_values, look.scale, signed=True, limit=look.limit)
    size, most = tile_size(columns, rows), WIDEST // max(columns, rows)
    colours = coloured(selection.reshape(-1, *selection.shape[2:]), low, high, look.cmap)
    images = [resized(one, size, most) for one in colours]
    canvas = by_unit(images, selection.shape[1], columns, rows, gap=gap_colour(look.cmap))
    title = (
        f"{name} weights {shape_text(values.shape)}{layout_text(units, selection, columns)}\n"
        f"epoch {view.epoch}, scale {about}"
    )
    figure = framed(canvas, title=title, bar=Bar(low, high, look.cmap))
    return Picture(figure, {"weights": selection})


def by_unit(
    images: Sequence[Pixels], channels: int, columns: int, rows: int, *, gap: int
) -> Pixels:
    """Returns a grid in which units that stand side by side are set apart.

    Args:
        images: of one size, those of each unit, one a channel, together.
        columns, rows: of the grid.
        gap: the grey between images, 0–255.
    """
    across = columns // channels
    if channels == 1 or columns % channels or across == 1:
        return grid(images, columns, rows, gap=gap)
    units = [images[start : start + channels] for start in range(0, len(images), channels)]
    blocks = [
        grid([image for unit in units[place::across] for image in unit], channels, rows, gap=gap)
        for place in range(min(across, len(units)))
    ]
    return beside(blocks, APART)


def default_layers(view: View) -> list[str]:
    """Returns convolutions, or the first linear layer if there are none and it sees the pixels."""
    modules = list(view.model.named_modules())
    convolutions = [name for name, module in modules if isinstance(module, nn.Conv2d)]
    linear = [name for name, module in modules if isinstance(module, nn.Linear)][:1]
    seeing = [
        name
        for name, module in modules
        if name in linear and module.in_features == math.prod(view.shape) and not convolutions
    ]
    return seeing + spread(view, convolutions, "weights")


def weight_of(view: View, name: str) -> Floats:
    """Returns the weight of a layer, float32 with 2 to 4 axes."""
    modules = {path: m for path, m in view.model.named_modules() if drawable(m)}
    if name not in modules:
        raise MlrunError(
            f"weights: there is no layer {name} with weights to draw; there are: "
            f"{', '.join(modules) or 'none'}"
        )
    weight = modules[name].weight
    return np.asarray(weight.detach().float().cpu().numpy(), dtype=np.float32)


def drawable(module: nn.Module) -> bool:
    """Whether a module has a weight of 2 (linear) to 4 (convolution) axes."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, nn.Parameter) and 2 <= weight.ndim <= 4


def units_of(values: Floats, shape: tuple[int, int, int]) -> Floats | None:
    """Returns a weight as images, (units, channels, h, w), or None for a matrix.

    Args:
        values: of a linear layer, (units, inputs), or a convolution, (units, channels, …).
        shape: of the data set's images; a linear layer with as many inputs sees the pixels.
    """
    if values.ndim == 2:
        return values.reshape(-1, *shape) if values.shape[1] == math.prod(shape) else None
    return values if values.ndim == 4 else values[:, :, None, :]


def layout_text(units: Floats | None, selection: Floats, columns: int) -> str:
    """Returns the title's text about the part of `units` that is drawn, and its layout."""
    if units is None:
        return ""
    count, channels = selection.shape[:2]
    text = f", first {count} drawn" if count < len(units) else ""
    if channels < units.shape[1]:
        text += f", first {channels} input channels drawn"
    if channels > 1 and columns > channels and columns % channels == 0:
        text += f", {columns // channels} units a row, {channels} channels each"
    return text


def tile_size(columns: int, rows: int) -> int:
    """Returns the size in pixels of one image, so that the whole grid is about 480 wide."""
    return min(96, 480 // columns, 640 // rows) if rows * columns > 1 else 480
