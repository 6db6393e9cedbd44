"""Visualisers of images as points in a plane, by the values of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mlrun import Picture, View
from mlrun_visualisers.canvas.signatures import PartName, PicturesAndTables, Points, Positive


def embedding(
    view: View,
    *,
    layer: str | None = None,
    method: Literal["pca", "tsne"] = "pca",
    part: PartName | None = None,
    images: Points = 1000,
    seed: int = 0,
    perplexity: Positive = 30.0,
) -> PicturesAndTables:
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
    from mlrun_visualisers.embeddings.points import draw_embedding

    yield from draw_embedding(
        view,
        layer=layer,
        method=method,
        part=part,
        images=images,
        seed=seed,
        perplexity=perplexity,
    )


def embedding_by_epoch(
    view: View,
    *,
    layer: str | None = None,
    part: Literal["train", "val"] = "val",
    images: Points = 500,
    seed: int = 0,
) -> Iterator[tuple[str, Picture]]:
    """The same images as points in a plane, before training and after each evaluated epoch.

    What a layer makes of the images is kept in each epoch. At the end one PCA is fitted on all
    epochs together, of more than 16 on 16 spread evenly with the first and the last, and each
    epoch is drawn on its axes, within the same limits: under the slider the points can be
    followed. Colours, crosses and signs are as in `embedding`.

    Args:
        layer: a name as `named_modules` gives it, of which the output is drawn, flattened;
            `pixels` for the raw images; by default what the last linear layer gets.
        part: train or val. Train is evaluated for it after each evaluated epoch, unless
            `evaluate_train` has done so.
        images: how many, drawn at random; the same in every epoch, and in every run with the
            same data and split. Fewer where they come to more than 2^20 values an epoch.
        seed: of the random choice.
    """
    from mlrun_visualisers.embeddings.epochs import draw_embedding_by_epoch

    yield from draw_embedding_by_epoch(view, layer=layer, part=part, images=images, seed=seed)
