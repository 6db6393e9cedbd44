"""Visualisers of weights, gradients and layer outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mlrun import Picture, View
from mlrun_visualisers.canvas.signatures import Count, Natural, Positive


def weights(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    rows: Count | None = None,
    columns: Count | None = None,
    scale: Literal["power-of-two", "min-max"] = "power-of-two",
    limit: Positive | None = None,
    cmap: str = "RdBu_r",
    most: Count = 64,
) -> Iterator[tuple[str, Picture]]:
    """Weights of linear layers and kernels of convolutions as grids of images, by epoch.

    A linear layer that sees the pixels is drawn as one image for each unit, any other as one
    matrix (rows are units). A convolution is drawn as one image for each input channel, the
    output channels row by row; if they are many, several in a row.

    Args:
        layers: names as `named_modules` gives them; by default the convolutions, of more
            than 8 the first 3 and 5 spread up to the last; without any, the first linear
            layer if it sees the pixels.
        rows: rows of images; what is too many for them and `columns` is left out.
        columns: images in a row; by default as square as can be, or one for each input channel.
        scale: symmetric about zero, up to the smallest power of two that covers the layer, so
            that epochs and runs line up; or from the least to the largest value drawn.
        limit: what the scale ends at on either side of zero, in place of the power of two; what
            lies beyond has the end's colour, and the title says how many values do.
        cmap: matplotlib's name of the colour map.
        most: how many units or output channels of a layer are drawn, from the first.
    """
    from mlrun_visualisers.networks.weight_grids import Look, draw_weights

    look = Look(rows=rows, columns=columns, most=most, scale=scale, limit=limit, cmap=cmap)
    yield from draw_weights(view, layers=layers, look=look)


def feature_maps(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    images: Count = 6,
    channels: Count = 12,
    columns: Count | None = None,
    scale: Literal["power-of-two", "min-max"] = "power-of-two",
    limit: Positive | None = None,
    cmap: str = "viridis",
) -> Iterator[tuple[str, Picture]]:
    """What convolutions and activations make of fixed probe images, by epoch.

    One picture a layer: each probe image with a map for each channel beside it, in a row, or
    of a single image in a grid; of a layer without height and width, a cell for each unit.
    Large maps are averaged.

    Args:
        layers: names as `named_modules` gives them; by default the convolutions and
            activations, of more than 8 the first 3 and 5 spread up to the last.
        images: how many of the probe images (one a class, ten at most) are drawn.
        channels: how many channels are drawn, from the first.
        columns: maps of an image in a row; by default all, or as square as can be where there
            is one image.
        scale: from 0 (from minus the limit, if the layer goes below zero) to the smallest
            power of two that covers what is drawn, or from its least to its largest value.
        limit: what the scale ends at in place of the power of two, as of `weights`.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.networks.maps import Look, draw_feature_maps

    look = Look(channels=channels, columns=columns, scale=scale, limit=limit, cmap=cmap)
    yield from draw_feature_maps(view, layers=layers, images=images, look=look)


def layer_outputs(
    view: View,
    *,
    image: Natural = 0,
    layers: tuple[str, ...] = (),
    channels: Count = 16,
    limit: Positive | None = None,
    cmap: str = "viridis",
) -> Picture:
    """What each layer makes of one probe image, a row a layer, by epoch.

    Each row tells the layer's name and shape and its own scale, from 0 (from minus the limit,
    if the layer goes below zero) to the smallest power of two that covers what is drawn. Of a
    layer without height and width there is a cell for each unit.

    Args:
        image: which of the probe images, from 0.
        layers: names as `named_modules` gives them; by default all that hold no others, but
            for dropout and the like, of more than 16 the first 3 and 13 spread up to the last.
        channels: how many channels are drawn, from the first.
        limit: what the scale of every row ends at in place of its own power of two.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.networks.outputs import draw_layer_outputs

    return draw_layer_outputs(
        view, image=image, layers=layers, channels=channels, limit=limit, cmap=cmap
    )


def weight_statistics(view: View, *, layers: tuple[str, ...] = (), images: Count = 128) -> Picture:
    """How the weights and gradients of each layer are spread, and how they went, by epoch.

    A row for each parameter of two or more axes: at the left its weights, up to the smallest
    power of two that covers them; at the right the sizes of the gradient of the loss, in
    powers of ten. Below, the mean size of the weights and the norm of the gradient through the
    epochs so far. The loss is the model's own, else cross-entropy, of a fixed batch in
    evaluation mode: without dropout, augmentation, label smoothing and class weights.

    Args:
        layers: names as `named_modules` or `named_parameters` gives them; by default all, of
            more than 8 the first 3 and 5 spread up to the last.
        images: how many training images the loss is of, the first ones.
    """
    from mlrun_visualisers.networks.histograms import draw_weight_statistics

    return draw_weight_statistics(view, names=layers, images=images)
