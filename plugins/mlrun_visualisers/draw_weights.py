"""Weights and kernels as images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from mlrun import MlrunError, View
from mlrun_visualisers.grids import (
    Floats,
    coloured,
    enlarged,
    framed,
    grid,
    power_of_two,
)
from mlrun_visualisers.layers import spread

WIDEST = 16  # input channels of a convolution that are drawn


def draw_weights(
    view: View, *, layers: tuple[str, ...], columns: int | None, cmap: str, most: int
) -> Iterator[tuple[str, Figure]]:
    """Yields one picture for each layer, named like the layer."""
    if most < 1 or (columns is not None and columns < 1):
        raise MlrunError("weights: columns and most must be at least 1")
    for name in layers or default_layers(view):
        values = weight_of(view, name)
        limit = power_of_two(values)
        tiles, natural, what = tiles_of(values, view.shape, most)
        across = columns or natural
        size = tile_size(across, -(-len(tiles) // across))
        colours = coloured(np.stack(tiles), -limit, limit, cmap)
        images = [enlarged(tile, size) for tile in colours]
        canvas = grid(images, across)
        shape = " × ".join(str(size) for size in values.shape)
        title = f"{name} weights {shape}{what}\nepoch {view.epoch}, scale ±{limit:g}"
        yield name, framed(canvas, title=title, low=-limit, high=limit, cmap=cmap)


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


def tiles_of(
    values: Floats, shape: tuple[int, int, int], most: int
) -> tuple[list[Floats], int, str]:
    """Returns the images of a weight, how many stand in a row, and what is left out."""
    left_out = f", first {most} drawn" if len(values) > most else ""
    channels, height, width = shape
    if values.ndim == 2 and values.shape[1] == channels * height * width:
        images = values[:most].reshape(-1, channels, height, width)
        if channels == 1:
            return list(images[:, 0]), math.ceil(math.sqrt(len(images))), left_out
        return list(images.reshape(-1, height, width)), *side_by_side(images, left_out)
    if values.ndim == 2:
        return [values], 1, ""
    kernels = values if values.ndim == 4 else values[:, :, None, :]
    kernels = kernels[:most, :WIDEST]
    if values.shape[1] > WIDEST:
        left_out += f", first {WIDEST} input channels drawn"
    if kernels.shape[1] == 1:
        return list(kernels[:, 0]), math.ceil(math.sqrt(len(kernels))), left_out
    return list(kernels.reshape(-1, *kernels.shape[2:])), *side_by_side(kernels, left_out)


def side_by_side(images: Floats, left_out: str) -> tuple[int, str]:
    """Returns how many images stand in a row, whole units of them, and the title's addition."""
    units, channels = images.shape[:2]
    together = max(1, round(math.sqrt(units / channels)))
    if together == 1:
        return channels, left_out
    return channels * together, f"{left_out}, {together} units a row, {channels} channels each"


def tile_size(columns: int, rows: int) -> int:
    """Returns the size in pixels of one image, so that the whole grid is about 480 wide."""
    return min(96, 480 // columns, 640 // rows) if rows * columns > 1 else 480
