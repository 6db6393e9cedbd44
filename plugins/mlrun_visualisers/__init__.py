"""The first-party visualisers. Heavy packages are imported when one draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mlrun import View, hookimpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def weights(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    columns: int | None = None,
    cmap: str = "RdBu_r",
    most: int = 64,
) -> Iterator[tuple[str, Figure]]:
    """Weights of linear layers and kernels of convolutions as grids of images, by epoch.

    A linear layer that sees the pixels is drawn as one image for each unit, any other as one
    matrix (rows are units). A convolution is drawn as one image for each input channel, the
    output channels row by row; if they are many, several in a row. The scale is symmetric
    about zero; its limit is the smallest power of two that covers the layer, so that epochs
    and runs line up.

    Args:
        layers: names as `named_modules` gives them; by default every convolution, at most
            8, and the first linear layer if it sees the pixels.
        columns: images in a row; by default as square as can be, or one for each input channel.
        cmap: matplotlib's name of the colour map.
        most: how many units or output channels of a layer are drawn, from the first.
    """
    from mlrun_visualisers.draw_weights import draw_weights

    yield from draw_weights(view, layers=layers, columns=columns, cmap=cmap, most=most)


def feature_maps(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    images: int = 6,
    channels: int = 12,
    cmap: str = "viridis",
) -> Iterator[tuple[str, Figure]]:
    """What convolutions and activations make of fixed probe images, by epoch.

    One picture a layer: a row for each probe image, with the image first and then a map for
    each channel; of a layer without height and width, a cell for each unit. The scale runs
    from 0 (from minus the limit, if the layer goes below zero) to the smallest power of two
    that covers what is drawn.

    Args:
        layers: names as `named_modules` gives them; by default the first 8 convolutions and
            activations.
        images: how many of the probe images (one a class, ten at most) are drawn.
        channels: how many channels are drawn, from the first.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_feature_maps import draw_feature_maps

    yield from draw_feature_maps(view, layers=layers, images=images, channels=channels, cmap=cmap)


def confusion_matrix(view: View, *, cmap: str = "Blues") -> Figure:
    """How often each class was taken for each other: rows true, columns predicted.

    Counts stand in the cells where there are at most 30 classes. Drawn at the end for the
    test part on the best weights; without a test part, for the validation part.

    Args:
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_figures import draw_confusion_matrix

    return draw_confusion_matrix(view, cmap=cmap)


def learning_curves(view: View) -> Figure:
    """Loss and accuracy of the training and validation part, by epoch."""
    from mlrun_visualisers.draw_figures import draw_learning_curves

    return draw_learning_curves(view)


@hookimpl
def register_visualisers(register: Callable[..., Any]) -> None:
    """Registers the first-party visualisers."""
    register(weights, when="epoch")
    register(feature_maps, when="epoch")
    register(confusion_matrix)
    register(learning_curves)
