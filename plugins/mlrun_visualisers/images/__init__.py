"""Visualisers of the data set's images and classes."""

from __future__ import annotations

from typing import Literal

from mlrun import Picture, View
from mlrun_visualisers.canvas.signatures import Count, PartName


def samples(
    view: View,
    *,
    rows: Count = 5,
    columns: Count = 5,
    part: PartName = "train",
    pick: Literal["random", "first"] = "random",
    seed: int = 0,
    cmap: str = "gray",
) -> Picture:
    """Images of the data set with the names of their classes.

    They are the same in every run with the same data and split.

    Args:
        rows: rows of images.
        columns: images in a row.
        part: the part that they are from.
        pick: a random choice, or the first ones.
        seed: of the random choice.
        cmap: matplotlib's name of the colour map for images that are not RGB.
    """
    from mlrun_visualisers.images.examples import draw_samples

    return draw_samples(
        view, rows=rows, columns=columns, part=part, pick=pick, seed=seed, cmap=cmap
    )


def class_distribution(view: View) -> Picture:
    """How many images each class has, one row of bars for each part.

    The classes are named where there are at most 30.
    """
    from mlrun_visualisers.images.classes import draw_class_distribution

    return draw_class_distribution(view)


def class_means(
    view: View, *, columns: Count | None = None, cmap: str = "gray", most: Count = 100
) -> Picture:
    """The average training image of each class.

    Args:
        columns: images in a row; by default as square as can be.
        cmap: matplotlib's name of the colour map for images that are not RGB.
        most: how many classes are drawn, from the first.
    """
    from mlrun_visualisers.images.classes import draw_class_means

    return draw_class_means(view, columns=columns, cmap=cmap, most=most)


def kernels(
    view: View,
    *,
    images: Count = 5,
    size: Literal[3, 5, 7, 9, 11] = 5,
    part: Literal["probes", "train", "val", "test"] = "probes",
    cmap: str = "RdBu_r",
) -> Picture:
    """What four hand-made kernels make of images: a vertical, a horizontal, two diagonal lines.

    The images stand in the first column, the kernels at the head of the others. A kernel is 1
    on its line and alike elsewhere, so that it sums to zero; it is applied as a convolution
    without padding would, to the mean of the channels. The scale is symmetric about zero, up
    to the smallest power of two that covers 99 % of the values.

    Args:
        images: how many images, the first ones.
        size: height and width of a kernel.
        part: where the images are from: the probe images, or a part of the data set.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.images.filters import draw_kernels

    return draw_kernels(view, images=images, size=size, part=part, cmap=cmap)
