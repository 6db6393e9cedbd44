"""The image that excites a unit of a network most."""

from __future__ import annotations

import torch

from mlrun import Picture, View
from mlrun_visualisers.ascent import Ascent, climb, responses
from mlrun_visualisers.captions import captioned, tile, tile_size
from mlrun_visualisers.grids import colour_map, shape_text


def draw_activation_maximisation(
    view: View, *, layer: str | None, units: int, columns: int, ascent: Ascent, cmap: str
) -> Picture:
    """Returns the picture: an image for each unit, and the activation that it reaches."""
    colour_map(cmap)
    name = layer or ""
    with torch.no_grad():
        found = responses(view, name, torch.zeros(1, *view.shape)).shape[1]
    chosen = range(min(units, found))
    images = climb(view, name, chosen, ascent)
    with torch.no_grad():
        reached = responses(view, name, images).diagonal().float().cpu()
    names = view.classes if layer is None else [f"unit {unit}" for unit in chosen]
    what = f"the units of {layer}" if layer else "the logits"
    title = (
        f"images that excite {what} most, {len(chosen)} of {found:,}\n{shape_text(view.shape)}, "
        f"epoch {view.epoch}, {ascent.steps} steps; below each the activation that it reaches"
    )
    size = tile_size(columns)
    figure = captioned(
        [tile(image.numpy(), size, cmap) for image in images],
        [f"{names[unit]}\n{reached[unit]:.3g}" for unit in chosen],
        columns=columns,
        title=title,
    )
    values = {"images": images.numpy(), "activations": reached.numpy()}
    return Picture(figure, values)
