"""What layers make of the probe images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from mlrun import MlrunError, View
from mlrun_visualisers.grids import (
    WIDEST,
    Floats,
    Pixels,
    coloured,
    enlarged,
    framed,
    grid,
    power_of_two,
    shrunk,
)
from mlrun_visualisers.layers import spread

CELL = 40  # pixels: about the side of one map
STRIP = 500  # pixels: about the width of a layer without height and width
KINDS = (
    nn.Conv1d, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh,
    nn.Sigmoid, nn.ELU, nn.Hardswish, nn.PReLU, nn.Softplus, nn.Mish,
)  # fmt: skip


def draw_feature_maps(
    view: View, *, layers: tuple[str, ...], images: int, channels: int, cmap: str
) -> Iterator[tuple[str, Figure]]:
    """Yields one picture for each call of each layer, named like the layer."""
    if images < 1 or channels < 1:
        raise MlrunError("feature-maps: images and channels must be at least 1")
    probes = view.probes[:images]
    found = view.activations(layers or default_layers(view), probes, required=bool(layers))
    for name, calls in found.items():
        for number, output in enumerate(calls, start=1):
            label = name if number == 1 else f"{name}-call{number}"
            if output.ndim not in (2, 3, 4) or len(output) != len(probes):
                raise MlrunError(f"feature-maps: {name} puts out {tuple(output.shape)}, not maps")
            yield label, draw_layer(view, label, probes, output, channels=channels, cmap=cmap)


def default_layers(view: View) -> list[str]:
    """Returns convolutions and activations, of many some that are spread over the network."""
    found = [name for name, module in view.model.named_modules() if isinstance(module, KINDS)]
    return spread(view, found, "feature-maps")


def draw_layer(
    view: View, label: str, probes: Tensor, output: Tensor, *, channels: int, cmap: str
) -> Figure:
    """Returns the picture of one layer."""
    values: Floats = output.float().numpy()
    if values.ndim == 3:
        values = values[:, :, None, :]
    drawn = values if values.ndim == 2 else values[:, :channels]
    limit = power_of_two(drawn)
    low = -limit if (drawn < 0).any() else 0.0
    colours = coloured(drawn, low, limit, cmap)
    rows = [
        [probe_cell(image, CELL), *cells(row)] for image, row in zip(probes, colours, strict=True)
    ]
    canvas = np.concatenate([spaced(grid_row(row)) for row in rows])[:-2]
    shape = " × ".join(str(size) for size in output.shape[1:])
    left_out = (
        f", first {channels} drawn" if values.ndim == 4 and values.shape[1] > channels else ""
    )
    title = f"{label} {shape}{left_out}\nepoch {view.epoch}, scale {low:g} to {limit:g}"
    return framed(canvas, title=title, low=low, high=limit, cmap=cmap)


def cells(row: Pixels) -> list[Pixels]:
    """Returns one image's maps, (channels, h, w, 3), or units, (units, 3), at a size to look at.

    What would make the picture too wide is averaged.
    """
    if row.ndim == 4:
        most = max(CELL, WIDEST // len(row))
        return [enlarged(shrunk(tile, most), CELL) for tile in row]
    strip = row[None].repeat(max(1, STRIP // len(row)), 1)
    return [shrunk(strip, WIDEST).repeat(CELL, 0)]


def probe_cell(image: Tensor, size: int) -> Pixels:
    """Returns a probe image, uint8 (C, H, W), as uint8 (h, w, 3) of about `size` pixels."""
    pixels = image.permute(1, 2, 0).numpy()
    if pixels.shape[2] != 3:
        pixels = pixels[..., :1].repeat(3, 2)
    step = max(1, round(max(pixels.shape[:2]) / size))
    return enlarged(pixels[::step, ::step], size)


def grid_row(images: list[Pixels]) -> Pixels:
    """Returns images of any size side by side, white between and below them."""
    height = max(image.shape[0] for image in images)
    width = max(image.shape[1] for image in images[1:])
    padded = [pad(image, height, image.shape[1]) for image in images]
    maps = grid([pad(image, height, width) for image in padded[1:]], len(images) - 1)
    gap = np.full((height, 8, 3), 255, dtype=np.uint8)
    return np.concatenate([padded[0], gap, maps], axis=1)


def pad(image: Pixels, height: int, width: int) -> Pixels:
    """Returns `image` with white below and to the right."""
    below, right = height - image.shape[0], width - image.shape[1]
    return np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=255)


def spaced(row: Pixels) -> Pixels:
    """Returns a row with a white gap below it."""
    return np.pad(row, ((0, 2), (0, 0), (0, 0)), constant_values=255)
