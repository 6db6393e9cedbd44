"""The first-party visualisers. Heavy packages are imported when one draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from mlrun import View, hookimpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def weights(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    rows: int | None = None,
    columns: int | None = None,
    scale: Literal["power-of-two", "min-max"] = "power-of-two",
    cmap: str = "RdBu_r",
    most: int = 64,
) -> Iterator[tuple[str, Figure]]:
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
        cmap: matplotlib's name of the colour map.
        most: how many units or output channels of a layer are drawn, from the first.
    """
    from mlrun_visualisers.draw_weights import Look, draw_weights

    look = Look(rows=rows, columns=columns, most=most, scale=scale, cmap=cmap)
    yield from draw_weights(view, layers=layers, look=look)


def feature_maps(
    view: View,
    *,
    layers: tuple[str, ...] = (),
    images: int = 6,
    channels: int = 12,
    columns: int | None = None,
    scale: Literal["power-of-two", "min-max"] = "power-of-two",
    cmap: str = "viridis",
) -> Iterator[tuple[str, Figure]]:
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
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_feature_maps import Look, draw_feature_maps

    look = Look(channels=channels, columns=columns, scale=scale, cmap=cmap)
    yield from draw_feature_maps(view, layers=layers, images=images, look=look)


def layer_outputs(
    view: View,
    *,
    image: int = 0,
    layers: tuple[str, ...] = (),
    channels: int = 16,
    cmap: str = "viridis",
) -> Figure:
    """What each layer makes of one probe image, a row a layer, by epoch.

    Each row tells the layer's name and shape and its own scale, from 0 (from minus the limit,
    if the layer goes below zero) to the smallest power of two that covers what is drawn. Of a
    layer without height and width there is a cell for each unit.

    Args:
        image: which of the probe images, from 0.
        layers: names as `named_modules` gives them; by default all that hold no others, but
            for dropout and the like, of more than 16 the first 3 and 13 spread up to the last.
        channels: how many channels are drawn, from the first.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_layer_outputs import draw_layer_outputs

    return draw_layer_outputs(view, image=image, layers=layers, channels=channels, cmap=cmap)


def confusion_matrix(view: View, *, cmap: str = "Blues") -> Figure:
    """How often each class was taken for each other: rows true, columns predicted.

    Counts stand in the cells where there are at most 30 classes; the scale ends at the size of
    the largest class. Drawn at the end for the test part on the best weights; without a test
    part, for the validation part.

    Args:
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_confusion import draw_confusion_matrix

    return draw_confusion_matrix(view, cmap=cmap)


def confusion_by_epoch(
    view: View, *, parts: tuple[Literal["train", "val"], ...] = ("val",), cmap: str = "Blues"
) -> Iterator[tuple[str, Figure]]:
    """The confusion matrix before training (epoch 0) and after each evaluated epoch.

    One picture a part: rows true, columns predicted, counts in the cells where there are at
    most 30 classes. The scale runs from 0 to the size of the part's largest class, so that
    epochs line up. The test part is evaluated once, at the end: see `confusion-matrix`.

    Args:
        parts: train, val or both. Train is evaluated for it after each evaluated epoch,
            unless `evaluate_train` has done so.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.draw_confusion import draw_confusion_by_epoch

    yield from draw_confusion_by_epoch(view, parts=parts, cmap=cmap)


def learning_curves(view: View, *, by: Literal["epoch", "step"] = "epoch") -> Figure:
    """Loss and accuracy of the training and validation part, side by side.

    By step there is what the run logs by step: of each batch as it is trained on
    (`log_every`), of the whole validation part (`evaluate_every` … steps) and of the whole
    training part (`evaluate_train` as well).

    Args:
        by: epoch, or optimiser step.
    """
    from mlrun_visualisers.draw_curves import draw_learning_curves

    return draw_learning_curves(view, by=by)


def samples(
    view: View,
    *,
    rows: int = 5,
    columns: int = 5,
    part: Literal["train", "val", "test"] = "train",
    pick: Literal["random", "first"] = "random",
    seed: int = 0,
    cmap: str = "gray",
) -> Figure:
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
    from mlrun_visualisers.draw_images import draw_samples

    return draw_samples(
        view, rows=rows, columns=columns, part=part, pick=pick, seed=seed, cmap=cmap
    )


def misclassified(
    view: View,
    *,
    count: int = 25,
    columns: int = 5,
    part: Literal["train", "val", "test"] | None = None,
    cmap: str = "gray",
) -> Iterator[tuple[str, Figure | dict[str, list[Any]]]]:
    """The mistakes of which the model was surest, as a picture and as a table with images.

    The surest is the one whose predicted class has the highest probability (softmax of the
    logits). The table's `index` is the image's place in the data set's own part.

    Args:
        count: how many are shown.
        columns: images in a row of the picture.
        part: the part that they are from; by default test, or validation if there is none.
        cmap: matplotlib's name of the colour map for images that are not RGB.
    """
    from mlrun_visualisers.draw_images import draw_misclassified

    yield from draw_misclassified(view, count=count, columns=columns, part=part, cmap=cmap)


def class_distribution(view: View) -> Figure:
    """How many images each class has, one row of bars for each part.

    The classes are named where there are at most 30.
    """
    from mlrun_visualisers.draw_classes import draw_class_distribution

    return draw_class_distribution(view)


def class_means(
    view: View, *, columns: int | None = None, cmap: str = "gray", most: int = 100
) -> Figure:
    """The average training image of each class.

    Args:
        columns: images in a row; by default as square as can be.
        cmap: matplotlib's name of the colour map for images that are not RGB.
        most: how many classes are drawn, from the first.
    """
    from mlrun_visualisers.draw_classes import draw_class_means

    return draw_class_means(view, columns=columns, cmap=cmap, most=most)


def kernels(
    view: View,
    *,
    images: int = 5,
    size: Literal[3, 5, 7, 9, 11] = 5,
    part: Literal["probes", "train", "val", "test"] = "probes",
    cmap: str = "RdBu_r",
) -> Figure:
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
    from mlrun_visualisers.draw_kernels import draw_kernels

    return draw_kernels(view, images=images, size=size, part=part, cmap=cmap)


def embedding(
    view: View,
    *,
    layer: str | None = None,
    method: Literal["pca", "tsne"] = "pca",
    part: Literal["train", "val", "test"] | None = None,
    images: int = 1000,
    seed: int = 0,
    perplexity: float = 30.0,
) -> Iterator[tuple[str, Figure | dict[str, list[Any]]]]:
    """Images as points in a plane, by what a layer makes of them: PCA or t-SNE.

    Colours are true classes; crosses were misclassified. The sign of an axis, which neither
    method fixes, is that with which the class that decides lies on the positive side: the
    first of those that lie at least half as far out as the farthest. So runs line up. The same
    points stand in a table, the first 5,000, with the image's place in the data set's own
    part.

    Args:
        layer: a name as `named_modules` gives it, of which the output is drawn, flattened;
            `pixels` for the raw images; by default what the last linear layer gets.
        method: pca, or tsne, which takes seconds a thousand images.
        part: the part that they are from; by default test, or validation if there is none.
        images: how many, drawn at random; the same in every run with the same data and split.
        seed: of the random choice, and of t-SNE.
        perplexity: about how many neighbours t-SNE keeps near; there must be more images.
    """
    from mlrun_visualisers.draw_embedding import draw_embedding

    yield from draw_embedding(
        view,
        layer=layer,
        method=method,
        part=part,
        images=images,
        seed=seed,
        perplexity=perplexity,
    )


@hookimpl
def register_visualisers(register: Callable[..., Any]) -> None:
    """Registers the first-party visualisers."""
    register(weights, when="epoch")
    register(feature_maps, when="epoch")
    register(layer_outputs, when="epoch")
    register(confusion_matrix)
    register(confusion_by_epoch, when="epoch")
    register(learning_curves)
    register(samples)
    register(misclassified)
    register(class_distribution)
    register(class_means)
    register(kernels)
    register(embedding)
