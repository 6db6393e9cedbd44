"""Feature maps: the outputs of layers for the probe images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.choice import spread
from mlrun_visualisers.canvas.figures import framed
from mlrun_visualisers.canvas.grids import (
    GAP,
    THINNEST,
    WIDEST,
    beside,
    grid,
    resized,
    shrunk,
    tile,
    white,
)
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

CELL, LARGE = 40, 96  # pixels: about the side of one map, of several images and of one
IN_A_ROW = WIDEST // (CELL + GAP)  # maps of an image where there are several images
BETWEEN = 8  # pixels between an image and its maps
STRIP = 500  # pixels: about the width of a layer without height and width
KINDS = (
    nn.Conv1d, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh,
    nn.Sigmoid, nn.ELU, nn.Hardswish, nn.PReLU, nn.Softplus, nn.Mish,
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How maps are drawn; the options of `mlrun_visualisers.feature_maps`."""

    channels: int
    columns: int | None
    scale: Scale
    limit: float | None
    cmap: str

    def __post_init__(self) -> None:
        check_limit("feature-maps", self.limit, self.scale)

    def in_a_row(self, maps: int, images: int) -> int:
        """Returns how many of the `maps` of one of so many images stand in a row."""
        if self.columns is not None:
            return min(self.columns, maps)
        rows = math.floor(math.sqrt(maps)) if images == 1 else -(-maps // IN_A_ROW)
        return -(-maps // rows)


def draw_feature_maps(
    view: View, *, layers: tuple[str, ...], images: int, look: Look
) -> Iterator[tuple[str, Picture]]:
    """Yields one picture for each call of each layer, named like the layer."""
    probes = view.probes[:images]
    outputs = view.activations(layers or default_layers(view), probes, required=bool(layers))
    for name, calls in outputs.items():
        for number, output in enumerate(calls, start=1):
            label = name if number == 1 else f"{name}-call{number}"
            if output.ndim not in (2, 3, 4) or len(output) != len(probes):
                raise MlrunError(f"feature-maps: {name} puts out {tuple(output.shape)}, not maps")
            yield label, draw_layer(view, label, probes, output, look)


def default_layers(view: View) -> list[str]:
    """Returns convolutions and activations, of many some that are spread over the network."""
    names = [name for name, module in view.model.named_modules() if isinstance(module, KINDS)]
    return spread(view, names, "feature-maps")


def draw_layer(view: View, label: str, probes: Tensor, output: Tensor, look: Look) -> Picture:
    """Returns the picture of one layer, and the maps and images that it shows."""
    values = as_maps(output)
    maps = values[:, : look.channels] if values.ndim == 4 else values
    low, high, about = limits(maps, look.scale, signed=bool((maps < 0).any()), limit=look.limit)
    colours = coloured(maps, low, high, look.cmap)
    rows = draw_strips(probes, colours) if values.ndim == 2 else draw_maps(probes, colours, look)
    shape = shape_text(output.shape[1:])
    extent = f", first {maps.shape[1]} drawn" if maps.shape != values.shape else ""
    title = f"{label} {shape}{extent}\nepoch {view.epoch}, scale {about}"
    if view.probe_name is not None:
        title += f", probe {view.probe_name} {shape_text(probes.shape[2:])}"
    figure = framed(stacked(rows), title=title, bar=Bar(low, high, look.cmap))
    return Picture(figure, {"maps": maps, "images": probes.numpy()})


def as_maps(output: Tensor) -> Floats:
    """Returns a layer's output as float32: (N, C, H, W), or (N, units) where it has no maps."""
    values: Floats = output.float().numpy()
    return values[:, :, None, :] if values.ndim == 3 else values


def draw_maps(probes: Tensor, colours: Pixels, look: Look) -> list[Pixels]:
    """Returns for each image a picture of it and, beside it, its maps in rows.

    Args:
        probes: uint8 (N, C, H, W).
        colours: its maps, uint8 (N, channels, h, w, 3); large ones are averaged.
        look: how many of them stand in a row.
    """
    images, maps = colours.shape[:2]
    across = look.in_a_row(maps, images)
    down = images * -(-maps // across)
    most = max(THINNEST, min(WIDEST // (across + 1), WIDEST // down) - GAP)
    size = min(most, LARGE if images == 1 else CELL)
    rows = []
    for image, maps_of_image in zip(probes, colours, strict=True):
        cells = [resized(one, size, most) for one in maps_of_image]
        picture = tile(image.numpy(), max(size, max(cells[0].shape[:2])), "gray")
        maps_grid = grid(cells, across, gap=gap_colour(look.cmap))
        rows.append(beside([picture, maps_grid], BETWEEN))
    return rows


def draw_strips(probes: Tensor, colours: Pixels) -> list[Pixels]:
    """Returns for each image a picture of it and, beside it, its units, uint8 (N, units, 3)."""
    return [
        beside([tile(image.numpy(), CELL, "gray"), strip(units)], BETWEEN)
        for image, units in zip(probes, colours, strict=True)
    ]


def strip(units: Pixels) -> Pixels:
    """Returns units, uint8 (units, 3), as cells side by side, averaged where they are many."""
    cells = units[None].repeat(max(1, STRIP // len(units)), 1)
    return shrunk(cells, WIDEST).repeat(CELL, 0)


def stacked(rows: list[Pixels]) -> Pixels:
    """Returns rows of one width below each other, a white gap between them."""
    gap = white(GAP, rows[0].shape[1])
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])
