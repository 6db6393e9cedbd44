"""Grad-CAM: the places in a layer's maps that raise the logit of a class."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.attributions.pairs import Look, paired
from mlrun_visualisers.attributions.probes import ProbeBatch, probe_batch
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.scales import Floats, Pixels, coloured

HEAT = 0.5  # of a pixel's colour is the heat map's, the rest the grey image's


def draw_grad_cam(
    view: View, *, layer: str | None, target: str, images: int, look: Look
) -> Picture:
    """Returns the picture: each image, and beside it the image under its heat map."""
    batch = probe_batch(view, target, images, "grad-cam")
    name = layer_of(view, layer, batch.images[:1])
    values = grad_cam_of(view, name, batch)
    shares, high, scale = look.scaled(values)
    title = (
        f"Grad-CAM of {name} {shape_text(values.shape[1:])}, for the {batch.of}'s logit\n"
        f"epoch {view.epoch}, scale {scale}; {batch.below}"
    )
    mixed = overlaid(batch.images, shares, look.cmap)
    figure = paired(batch.images.numpy(), mixed, batch.captions, title=title, look=look, high=high)
    return Picture(figure, {"attributions": values})


def layer_of(view: View, layer: str | None, image: Tensor) -> str:
    """Returns the name of the layer whose maps are summed.

    By default it is the last convolution with maps of more than one place, if there is any.

    Args:
        view: of the model.
        layer: as `named_modules` gives it.
        image: raw, (1, C, H, W); a layer's output for it shows whether it has maps.

    Raises:
        MlrunError: there is no such layer, or it has no maps; those that have are named.
    """
    modules = {name: module for name, module in view.model.named_modules() if name}
    outputs = view.activations(modules, image, required=False)
    maps = {name: calls[-1] for name, calls in outputs.items() if calls and calls[-1].ndim == 4}
    if layer in maps:
        return layer
    if layer is not None:
        what = "is no layer of the model" if layer not in modules else "has no maps (C × H × W)"
        raise MlrunError(
            f"grad-cam: {layer} {what}; layers that have maps: {', '.join(maps) or 'none'}"
        )
    convolutions = [name for name in maps if isinstance(modules[name], nn.Conv2d)]
    if not convolutions:
        raise MlrunError(
            "grad-cam: the model has no convolution; name a layer that has maps with "
            f"--grad-cam.layer: {', '.join(maps) or 'there is none'}"
        )
    wide = [name for name in convolutions if maps[name][0, 0].numel() > 1]
    return (wide or convolutions)[-1]


def grad_cam_of(view: View, layer: str, batch: ProbeBatch) -> Floats:
    """Returns the Grad-CAM of each image, float32 (N, h, w), as large as the layer's maps, ≥ 0.

    The maps are summed, each weighted by the mean of its gradient; what is below zero is cut.
    Captum takes a copy of them before a layer that works in place can overwrite them.
    """
    from captum.attr import LayerGradCam

    method = LayerGradCam(view.model, view.model.get_submodule(layer))
    maps = method.attribute(batch.inputs, batch.targets, relu_attributions=True)
    return np.asarray(maps.detach()[:, 0].float().cpu().numpy())


def overlaid(images: Tensor, shares: Floats, cmap: str) -> Pixels:
    """Returns grey images under their heat maps, uint8 (N, H, W, 3).

    Args:
        images: uint8 (N, C, H, W).
        shares: of the scale's limit, float32 (N, h, w), brought to H × W (bilinear).
        cmap: of the heat map.
    """
    size = images.shape[2:]
    heat = F.interpolate(torch.from_numpy(shares)[:, None], size=size, mode="bilinear")[:, 0]
    grey = images.float().mean(1).numpy()[..., None]
    mixed = HEAT * coloured(heat.numpy(), 0, 1, cmap) + (1 - HEAT) * grey
    return np.asarray(mixed.round().astype(np.uint8))
