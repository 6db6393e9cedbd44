"""Fixed kernels, and their responses to images."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mlrun import Picture, View
from mlrun_visualisers.canvas.captions import FONT, shape_text, write_on
from mlrun_visualisers.canvas.figures import framed, message
from mlrun_visualisers.canvas.grids import WIDEST, paste, resized, tile, white
from mlrun_visualisers.canvas.scales import COVERED, Bar, Floats, Pixels, coloured, limit_of_most

SMALL, LEAST = 96, 32  # pixels: about the side of a small image, and the least of a large one
HEAD = 60  # pixels: about the side of a kernel
NAME = 16  # pixels: the height of a column's name
NARROW = 66  # pixels: the least width of a column, for its name
BETWEEN = 8  # pixels


def draw_kernels(view: View, *, images: int, size: int, part: str, cmap: str) -> Picture:
    """Returns images with each kernel's response to them, a column for each kernel."""
    kernels = line_kernels(size)
    inputs = images_of(view, part, images)
    stacked = torch.stack(list(kernels.values()))
    values = {"kernels": stacked.numpy()}
    about = f"{shape_text((size, size))}: 1 on the line, {-1 / (size - 1):.3g} elsewhere"
    if min(inputs.shape[2:]) < size:
        sizes = f"images of {shape_text(inputs.shape[2:])} pixels are smaller than the kernels"
        return Picture(message(f"kernels {about}\n{sizes}"), values)
    responses = correlate(inputs, stacked)
    limit = limit_of_most(responses)
    side = side_of(inputs)
    columns = [[tile(image.numpy(), side, "gray") for image in inputs]]
    for of_kernel in coloured(responses.swapaxes(0, 1), -limit, limit, cmap):
        columns.append([tile(bordered(one, size), side, "gray") for one in of_kernel])
    heads = [head_of(kernel, cmap) for kernel in kernels.values()]
    across = max(NARROW, columns[0][0].shape[1]) + BETWEEN
    source = view.probe_name if part == "probes" and view.probe_name else part
    scale = f"±{limit:g} ({100 * COVERED:g} % lie within)"
    title = f"kernels {about}\n{source}, pixels as 0–1, no padding, scale {scale}"
    canvas = table([None, *heads], columns, across)
    figure = framed(canvas, title=title, bar=Bar(-limit, limit, cmap))
    for place, name in enumerate(["image", *kernels]):
        write_on(figure, name, place * across, 0, size=FONT)
    return Picture(figure, {**values, "responses": responses})


def line_kernels(size: int) -> dict[str, Tensor]:
    """Returns the four kernels by name, float32 (size, size).

    Each is 1 on a line of `size` pixels, an odd number, and alike elsewhere: it sums to zero.
    """
    diagonal = torch.eye(size)
    vertical = torch.zeros(size, size)
    vertical[:, size // 2] = 1
    lines = {
        "vertical": vertical,
        "horizontal": vertical.T,
        "diagonal ↘": diagonal,
        "diagonal ↗": diagonal.flip(1),
    }
    return {name: line - (1 - line) / (size - 1) for name, line in lines.items()}


def head_of(kernel: Tensor, cmap: str) -> Pixels:
    """Returns the picture of a kernel, whose values lie between -1 and 1."""
    return resized(coloured(kernel.numpy(), -1, 1, cmap), HEAD, HEAD)


def images_of(view: View, part: str, count: int) -> Tensor:
    """Returns the first `count` images of a part, or probe images, uint8 (N, C, H, W)."""
    if part == "probes":
        return view.probes[:count]
    return view.images(part, range(min(count, len(view.labels(part)))))


def correlate(images: Tensor, kernels: Tensor) -> Floats:
    """Returns the cross-correlation of images, as `nn.Conv2d` computes it, without padding.

    Args:
        images: uint8 (N, C, H, W), taken as 0–1; of several channels their mean.
        kernels: float32 (K, size, size).

    Returns float32 (N, K, H - size + 1, W - size + 1).
    """
    grey = images.float().mean(1, keepdim=True) / 255
    return np.asarray(F.conv2d(grey, kernels[:, None]).numpy())


def bordered(colours: Pixels, size: int) -> Pixels:
    """Returns a response, uint8 (h, w, 3), as (3, H, W): white where the kernel did not fit."""
    border = size // 2
    spread = ((border, border), (border, border), (0, 0))
    return np.pad(colours, spread, constant_values=255).transpose(2, 0, 1)


def side_of(images: Tensor) -> int:
    """Returns the side in pixels that an image has in the picture."""
    count, _, height, width = images.shape
    most = min(WIDEST // 5, WIDEST // count) - BETWEEN
    return min(max(LEAST, most), max(SMALL, height, width))


def table(heads: list[Pixels | None], columns: list[list[Pixels]], across: int) -> Pixels:
    """Returns columns of pictures of one size, each under its head, with room for names above."""
    top = NAME + HEAD + BETWEEN
    down = columns[0][0].shape[0] + BETWEEN
    canvas = white(top + len(columns[0]) * down - BETWEEN, len(columns) * across - BETWEEN)
    for place, (head, column) in enumerate(zip(heads, columns, strict=True)):
        left = place * across
        if head is not None:
            paste(canvas, head, NAME, left)
        for row, picture in enumerate(column):
            paste(canvas, picture, top + row * down, left)
    return canvas
