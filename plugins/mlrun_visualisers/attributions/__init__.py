"""Visualisers of the pixels and images that logits and units respond to."""

from __future__ import annotations

from typing import Literal

from mlrun import Picture, View
from mlrun_visualisers.canvas.signatures import Amount, Count, Natural, Positive


def saliency(
    view: View,
    *,
    target: Literal["true", "predicted"] = "true",
    images: Count = 10,
    columns: Count = 5,
    scale: Literal["power-of-two", "own"] = "power-of-two",
    limit: Positive | None = None,
    cmap: str = "inferno",
) -> Picture:
    """Which pixels matter: beside each probe image the gradient of its class's logit, by epoch.

    Bright is where a small change of the pixel changes the logit most, up or down: the absolute
    gradient by the standardised pixel, the largest over the channels. Below each image stands
    what it is, what it is taken for and the probability of that.

    K. Simonyan, A. Vedaldi and A. Zisserman, "Deep Inside Convolutional Networks" (2013).

    Args:
        target: the class whose logit it is: the image's own, or the one that it is taken for,
            as of a probe image without a class in any case.
        images: how many of the probe images (one a class, ten at most) are drawn.
        columns: images in a row.
        scale: one for all, which lines up between epochs and runs, up to the smallest power of
            two that covers 99 % of the values; or each image's own, up to its largest value.
        limit: where the one scale ends, in place of the power of two.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.attributions.gradients import draw_saliency
    from mlrun_visualisers.attributions.pairs import Look

    look = Look("saliency", columns=columns, scale=scale, limit=limit, cmap=cmap)
    return draw_saliency(view, target=target, images=images, look=look)


def grad_cam(
    view: View,
    *,
    layer: str | None = None,
    target: Literal["true", "predicted"] = "true",
    images: Count = 10,
    columns: Count = 5,
    scale: Literal["power-of-two", "own"] = "power-of-two",
    limit: Positive | None = None,
    cmap: str = "turbo",
) -> Picture:
    """Where in the image a convolution sees what speaks for the class: Grad-CAM, by epoch.

    Beside each probe image it stands again, in grey, under the heat map: the layer's maps,
    summed with the mean gradient of the class's logit as their weights, cut at zero and
    brought to the image's size. Below it: what it is, what it is taken for and the probability
    of that.

    R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization" (2017).

    Args:
        layer: a name as `named_modules` gives it, of one that puts out maps; by default the
            last convolution whose maps are larger than 1 × 1.
        target: the class whose logit it is: the image's own, or the one that it is taken for,
            as of a probe image without a class in any case.
        images: how many of the probe images (one a class, ten at most) are drawn.
        columns: images in a row.
        scale: one for all, which lines up between epochs and runs, up to the smallest power of
            two that covers 99 % of the values; or each image's own, up to its largest value.
        limit: where the one scale ends, in place of the power of two.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.attributions.activation_maps import draw_grad_cam
    from mlrun_visualisers.attributions.pairs import Look

    look = Look("grad-cam", columns=columns, scale=scale, limit=limit, cmap=cmap)
    return draw_grad_cam(view, layer=layer, target=target, images=images, look=look)


def activation_maximisation(
    view: View,
    *,
    layer: str | None = None,
    units: Count = 10,
    columns: Count = 5,
    steps: Natural = 128,
    lr: Positive = 0.1,
    smoothness: Amount = 0.5,
    jitter: Natural | None = None,
    seed: int = 0,
    cmap: str = "gray",
) -> Picture:
    """What a unit looks for: the image that excites it most, found by gradient ascent.

    By default one image a class, that with the largest logit. It starts as noise about the mean
    pixel and climbs (Adam) along the gradient of the unit's output, of a map its mean. Shifts
    and a penalty on the difference of neighbouring pixels keep it from looking like noise; the
    pixels stay between 0 and 255. Below it stands the activation that it reaches.

    D. Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); C. Olah,
    A. Mordvintsev and L. Schubert, "Feature Visualization" (2017),
    https://distill.pub/2017/feature-visualization.

    Args:
        layer: a name as `named_modules` gives it, of which the units or maps are excited; by
            default the model's output, whose units are the classes.
        units: how many of its units are drawn, from the first.
        columns: images in a row.
        steps: of the ascent.
        lr: Adam's learning rate.
        smoothness: weight of the direction in which the total variation falls, against 1 for that
            in which the activation rises; 0 gives the largest activation, and noise.
        jitter: by how many pixels the image is shifted at most, anew in each step; by default a
            sixteenth of its shorter side.
        seed: of the noise and the shifts.
        cmap: matplotlib's name of the colour map for images that are not RGB.
    """
    from mlrun_visualisers.attributions.ascent import Ascent, draw_activation_maximisation

    ascent = Ascent(steps=steps, lr=lr, smoothness=smoothness, jitter=jitter, seed=seed)
    return draw_activation_maximisation(
        view, layer=layer, units=units, columns=columns, ascent=ascent, cmap=cmap
    )
