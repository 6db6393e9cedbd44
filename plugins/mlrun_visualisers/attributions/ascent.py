"""Gradient ascent: from seeded noise to the image that excites a unit of a network most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.figures import captioned, tile_size
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.canvas.scales import colour_map

START = 0.3  # the standard deviation of the noise, before the sigmoid
DARKEST = 0.05  # of 255: the start lies so far from 0 and 1, where a sigmoid hardly moves
SHARE = 16  # a side is at least so many times as long as it is shifted by default


@dataclass(frozen=True)
class Ascent:
    """Settings of gradient ascent, options of `mlrun_visualisers.activation_maximisation`."""

    steps: int
    lr: float
    smoothness: float
    jitter: int | None
    seed: int

    def shift(self, shape: tuple[int, int, int]) -> int:
        """Returns by how many pixels an image of that shape is shifted at most."""
        return min(shape[1:]) // SHARE if self.jitter is None else self.jitter


def draw_activation_maximisation(
    view: View, *, layer: str | None, units: int, columns: int, ascent: Ascent, cmap: str
) -> Picture:
    """Returns the picture: an image for each unit, and the activation that it reaches."""
    colour_map(cmap)
    name = layer or ""
    with torch.no_grad():
        total = responses(view, name, torch.zeros(1, *view.shape)).shape[1]
    indices = range(min(units, total))
    images = climb(view, name, indices, ascent)
    with torch.no_grad():
        activations = responses(view, name, images).diagonal().float().cpu()
    names = view.classes if layer is None else [f"unit {unit}" for unit in indices]
    what = f"the units of {layer}" if layer else "the logits"
    title = (
        f"images that excite {what} most, {len(indices)} of {total:,}\n{shape_text(view.shape)}, "
        f"epoch {view.epoch}, {ascent.steps} steps; below each the activation that it reaches"
    )
    size = tile_size(columns)
    figure = captioned(
        [tile(image.numpy(), size, cmap) for image in images],
        [f"{names[unit]}\n{activations[unit]:.3g}" for unit in indices],
        columns=columns,
        title=title,
    )
    values = {"images": images.numpy(), "activations": activations.numpy()}
    return Picture(figure, values)


def climb(view: View, layer: str, units: Sequence[int], ascent: Ascent) -> Tensor:
    """Returns the image that excites each unit, uint8 (units, C, H, W), on the CPU.

    The pixels are 255 times the sigmoid of the variables that are optimised, so they stay in
    the range that images have. They start at the mean that the normalisation subtracts, with
    noise. The objective is the unit's output, of a map its mean. From the direction in which it
    rises, that in which the image's total variation rises is subtracted. Each step shifts the
    images anew, so that no pixel counts by its place alone.

    Args:
        view: of the model, whose parameters are frozen.
        layer: as `named_modules` gives it; empty for the model.
        units: places along the layer's axis 1; each image depends on its own unit alone.
        ascent: its settings.
    """
    view.model.requires_grad_(False)
    generator = torch.Generator().manual_seed(ascent.seed)
    noise = START * torch.randn(1, *view.shape, generator=generator)
    hidden = (mean_of(view).logit() + noise.to(view.device)).repeat(len(units), 1, 1, 1)
    optimiser = torch.optim.Adam([hidden.requires_grad_()], lr=ascent.lr)
    rows, places = torch.arange(len(units)), torch.tensor(units)
    most = ascent.shift(view.shape)
    with torch.enable_grad():
        for _ in range(ascent.steps):
            pixels = hidden.sigmoid()
            down, across = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
            moved = pixels.roll((down, across), (2, 3))
            activations = responses(view, layer, 255 * moved)[rows, places]
            rise, rough = (direction(of, pixels) for of in (activations, variation(pixels)))
            (hidden.grad,) = torch.autograd.grad(pixels, hidden, ascent.smoothness * rough - rise)
            optimiser.step()
    return (255 * hidden.detach().sigmoid()).round().to(torch.uint8).cpu()


def mean_of(view: View) -> Tensor:
    """Returns the pixels that the normalisation turns into zeros, as shares of 255.

    They are (1, C, 1, 1) on the model's device, and kept off 0 and 1. Far from them, many units
    do not respond.
    """
    black, white = (view.inputs(torch.full((1, *view.shape), level)) for level in (0, 255))
    share = black / (black - white)
    return share[:, :, :1, :1].clamp(DARKEST, 1 - DARKEST)


def direction(values: Tensor, pixels: Tensor) -> Tensor:
    """Returns the gradient of `values` (N,) by `pixels` (N, C, H, W), each image's of length 1."""
    (gradient,) = torch.autograd.grad(values.sum(), pixels, retain_graph=True)
    return F.normalize(gradient.flatten(1), dim=1).view_as(gradient)


def responses(view: View, layer: str, images: Tensor) -> Tensor:
    """Returns the output of each unit of a layer, of a map its mean: float (N, units).

    Args:
        view: of the model.
        layer: as `named_modules` gives it; empty for the model. Of several calls the first.
        images: raw, (N, C, H, W), 0–255; gradients reach those that require them.

    Raises:
        MlrunError: there is no such layer, it is not called, or it has no units of each image.
    """
    modules = dict(view.model.named_modules())
    if layer not in modules:
        raise MlrunError(
            f"activation-maximisation: there is no layer {layer}; there are: "
            f"{', '.join(name for name in modules if name)}"
        )
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim > 1 and len(output) == len(images):
            outputs.append(output.reshape(*output.shape[:2], -1).mean(2))

    handle = modules[layer].register_forward_hook(keep)
    try:
        view.model(view.inputs(images))
    finally:
        handle.remove()
    if not outputs:
        raise MlrunError(f"activation-maximisation: {layer or 'the model'} has no units to excite")
    return outputs[0]


def variation(pixels: Tensor) -> Tensor:
    """Returns the total variation of images (N, C, H, W): |differences| of neighbours, (N,)."""
    down = pixels.diff(dim=2).abs().sum((1, 2, 3))
    return down + pixels.diff(dim=3).abs().sum((1, 2, 3))
