"""The outputs of all layers for one image, a row a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import Tensor, nn

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import (
    FONT,
    LINE,
    SIDE,
    TOP,
    blank_figure,
    shape_text,
    shortened,
    text_width,
    title_width,
    write_on,
    write_title,
)
from mlrun_visualisers.canvas.choice import spread
from mlrun_visualisers.canvas.grids import GAP, THINNEST, WIDEST, grid, paste, resized, tile, white
from mlrun_visualisers.canvas.scales import (
    Floats,
    Pixels,
    check_limit,
    coloured,
    gap_colour,
    limits,
)
from mlrun_visualisers.networks.maps import as_maps, strip

MOST_ROWS = 16  # layers that are drawn unless they are named
CELL = 56  # pixels: about the side of a small map
BETWEEN = 10  # pixels between two rows, and between a text and its row
TEXT = (120, 220)  # pixels: the least and the largest width of the texts
SAME = (nn.Identity, nn.Flatten, nn.modules.dropout._DropoutNd)  # their output is their input


@dataclass(frozen=True)
class Row:
    """One row: its text, three lines at most, and the maps (n, h, w) or units (n,) to draw."""

    name: str
    text: str
    values: Floats
    low: float
    high: float


def draw_layer_outputs(
    view: View,
    *,
    image: int,
    layers: tuple[str, ...],
    channels: int,
    limit: float | None,
    cmap: str,
) -> Picture:
    """Returns the picture: the image, and below it a row for each call of each layer."""
    check_limit("layer-outputs", limit)
    probes = view.probes
    if not 0 <= image < len(probes):
        raise MlrunError(
            f"layer-outputs: image {image}; expected 0 to {len(probes) - 1}, a probe image's place"
        )
    one = probes[image : image + 1]
    outputs = view.activations(layers or default_layers(view), one, required=bool(layers))
    rows = [
        row_of(name if number == 1 else f"{name} call {number}", output, channels, limit)
        for name, calls in outputs.items()
        for number, output in enumerate(calls, start=1)
        if is_drawable(view, name, output, required=bool(layers))
    ]
    pictures = [(f"image\n{shape_text(one.shape[1:])}", tile(one[0].numpy(), 2 * CELL, "gray"))]
    pictures += zip((row.text for row in rows), draw_rows(rows, cmap), strict=True)
    label = int(view.probe_labels[image])
    what = view.probe_name or f"probe image {image}, {view.classes[label]}"
    scales = "a scale a row" if limit is None else f"every scale up to {limit:g}"
    title = f"outputs of each layer for {what}\nepoch {view.epoch}, {scales}"
    values = {f"{place:02}-{row.name}": row.values for place, row in enumerate(rows)}
    return Picture(labelled(pictures, title), {"image": one.numpy(), **values})


def default_layers(view: View) -> list[str]:
    """Returns the layers that hold no others and change their input, of many some."""
    names = [
        name
        for name, module in view.model.named_modules()
        if not any(module.children()) and not isinstance(module, SAME)
    ]
    return spread(view, names, "layer-outputs", most=MOST_ROWS)


def is_drawable(view: View, name: str, output: Tensor, *, required: bool) -> bool:
    """Whether an output is of one image and has units or maps; else an error or a note."""
    if output.ndim in (2, 3, 4) and len(output) == 1:
        return True
    reason = f"{name} puts out {tuple(output.shape)}; expected one image's units or maps"
    if required:
        raise MlrunError(f"layer-outputs: {reason}")
    view.note(f"left out {reason}")
    return False


def row_of(name: str, output: Tensor, channels: int, limit: float | None) -> Row:
    """Returns the row of one output, (1, units) or (1, channels, …)."""
    values = as_maps(output)[0]
    selection = values[:channels] if values.ndim == 3 else values
    low, high, scale = limits(
        selection, "power-of-two", signed=bool((selection < 0).any()), limit=limit
    )
    shape = shape_text(output.shape[1:])
    if len(selection) < len(values):
        shape += f", first {len(selection)}"
    name = name or "model"
    return Row(name, f"{name}\n{shape}\n{scale}", selection, low, high)


def draw_rows(rows: list[Row], cmap: str) -> list[Pixels]:
    """Returns each row in colours, uint8 (h, w, 3); what would be too large is averaged."""
    most = WIDEST // (len(rows) + 1) - BETWEEN
    return [draw_row(row, most, cmap) for row in rows]


def draw_row(row: Row, highest: int, cmap: str) -> Pixels:
    """Returns one row in colours, uint8 (h, w, 3), its maps at most so many pixels high."""
    colours = coloured(row.values, row.low, row.high, cmap)
    if row.values.ndim == 1:
        return strip(colours)
    count = len(colours)
    most = max(THINNEST, min(highest, WIDEST // count - GAP))
    cells = [resized(one, min(most, CELL), most) for one in colours]
    return grid(cells, count, gap=gap_colour(cmap))


def labelled(rows: list[tuple[str, Pixels]], title: str) -> Figure:
    """Returns a figure of pictures below each other, each with its text at the left."""
    lines = [line for text, _ in rows for line in text.split("\n")[:2]]
    widest = math.ceil(max(text_width(line, FONT) for line in lines))
    before = min(max(widest, TEXT[0]), TEXT[1]) + BETWEEN
    heights = [max(len(image), LINE * (text.count("\n") + 1)) for text, image in rows]
    size = (sum(heights) + BETWEEN * (len(rows) - 1), max(image.shape[1] for _, image in rows))
    canvas = white(size[0], before + size[1])
    total = (max(canvas.shape[1] + 2 * SIDE, title_width(title)), size[0] + TOP + 2 * SIDE)
    figure = blank_figure(*total)
    top = 0
    for (text, image), height in zip(rows, heights, strict=True):
        paste(canvas, image, top, before)
        caption = "\n".join(shortened(line, before - BETWEEN) for line in text.split("\n"))
        write_on(figure, caption, 0, top, size=FONT)
        top += height + BETWEEN
    figure.figimage(canvas, SIDE, SIDE, origin="upper")
    write_title(figure, title)
    return figure
