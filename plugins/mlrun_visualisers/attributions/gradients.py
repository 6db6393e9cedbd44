"""Saliency: the gradient of a logit with respect to the pixels."""

from __future__ import annotations

import numpy as np

from mlrun import Picture, View
from mlrun_visualisers.attributions.pairs import Look, paired
from mlrun_visualisers.attributions.probes import ProbeBatch, probe_batch
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.scales import Floats, coloured


def draw_saliency(view: View, *, target: str, images: int, look: Look) -> Picture:
    """Returns the picture: each image, and beside it how much each pixel matters."""
    batch = probe_batch(view, target, images, "saliency")
    values = saliency_of(view, batch)
    shares, high, scale = look.scaled(values)
    title = (
        f"saliency of {shape_text(batch.images.shape[1:])}: |gradient| of the {batch.of}'s logit\n"
        f"epoch {view.epoch}, scale {scale}; {batch.below}"
    )
    colours = coloured(shares, 0, 1, look.cmap)
    figure = paired(
        batch.images.numpy(), colours, batch.captions, title=title, look=look, high=high
    )
    return Picture(figure, {"attributions": values})


def saliency_of(view: View, batch: ProbeBatch) -> Floats:
    """Returns the |gradient| of each image's logit with respect to its standardised pixels.

    Of several channels it is the largest: float32 (N, H, W).
    """
    from captum.attr import Saliency

    gradients = Saliency(view.model).attribute(batch.inputs, target=batch.targets)
    return np.asarray(gradients.detach().amax(1).float().cpu().numpy())
