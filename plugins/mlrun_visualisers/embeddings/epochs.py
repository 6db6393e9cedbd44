"""Images as points in a plane by epoch: one basis for all epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import shape_text
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.canvas.predictions import outcomes_of
from mlrun_visualisers.embeddings.points import Limits, Points, scatter
from mlrun_visualisers.embeddings.projection import (
    Basis,
    Floats,
    Numbers,
    Source,
    check_differ,
    principal_basis,
    source_of,
    values_of,
)

NAME = "embedding-by-epoch"
MOST_VALUES = 2**20  # kept of an epoch: 4 MiB
MOST_FITTED = 16  # epochs that the basis is fitted on
MARGIN = 0.04  # of what the points span, left free at each side
RATIO = 1.15  # of a picture's width to its height, about
Kept = Mapping[str, NDArray[Any]]


def draw_embedding_by_epoch(
    view: View, *, layer: str | None, part: str, images: int, seed: int
) -> Iterator[tuple[str, Picture]]:
    """Yields the values of an epoch, to be kept; at the end, the picture of each epoch."""
    if view.final:
        pictures = draw_epochs(view, layer=layer, part=part, seed=seed)
    else:
        pictures = iter([keep_epoch(view, layer=layer, part=part, images=images, seed=seed)])
    for picture in pictures:
        yield "", picture


def keep_epoch(view: View, *, layer: str | None, part: str, images: int, seed: int) -> Picture:
    """Returns no image, but the values that a layer has for images now, in float32.

    Half of the bits would do for the picture, but a layer that grows beyond 65,504 would be lost.
    """
    evaluation = view.evaluation(part)
    places = random_places(len(evaluation.labels), images, seed)
    source = source_of(view, layer, NAME)
    values, shape = values_of(view, source, part, places, most=MOST_VALUES)
    places = places[: len(values)]
    reshaped = values.reshape(len(values), *shape)
    return Picture(None, {"values": reshaped, **outcomes_of(evaluation, places)})


def draw_epochs(view: View, *, layer: str | None, part: str, seed: int) -> Iterator[Picture]:
    """Yields the picture of each epoch that was kept, on axes common to all of them."""
    epochs = list(view.kept)
    if not epochs:
        raise MlrunError(f"{NAME}: nothing to draw: no epoch was kept")
    fitted = spread_evenly(epochs)
    source = source_of(view, layer, NAME)
    basis = common_basis([view.kept[epoch][""] for epoch in fitted], source, seed)
    by_epoch = {}
    for epoch in epochs:
        arrays = view.kept[epoch][""]
        by_epoch[epoch] = Points(basis.project(flat(arrays)), arrays["labels"], arrays["predicted"])
    limits = limits_of(np.concatenate([points.places for points in by_epoch.values()]))
    first, second = (f"{share:.1%}" for share in basis.explained)
    about = f"{basis_text(len(epochs), len(fitted))}: explained variance {first} and {second}"
    shape, total = shape_text(arrays["values"].shape[1:]), len(view.labels(part))
    for epoch, points in by_epoch.items():
        wrong = int((points.labels != points.predicted).sum())
        title = (
            f"{source}, {shape} values, epoch {epoch}\n"
            f"{len(points.labels):,} of {total:,} {part} images, {wrong:,} misclassified\n{about}"
        )
        figure = scatter(points, view.classes, title, limits)
        yield Picture(figure, {"points": points.places}, epoch=epoch)


def common_basis(epochs: Sequence[Kept], source: Source, seed: int) -> Basis:
    """Returns the basis that is fitted on the values of several epochs together."""
    values = np.concatenate([flat(of_epoch) for of_epoch in epochs])
    check_differ(values, source)
    return principal_basis(values, np.concatenate([one["labels"] for one in epochs]), seed)


def spread_evenly(epochs: Sequence[int], most: int = MOST_FITTED) -> list[int]:
    """Returns at most `most` epochs, spread evenly, with the first and the last.

    >>> spread_evenly([0, 1, 2, 3, 4, 5, 6], 3)
    [0, 3, 6]
    """
    if len(epochs) <= most:
        return list(epochs)
    return [epochs[place] for place in np.linspace(0, len(epochs) - 1, most).round().astype(int)]


def flat(arrays: Kept) -> Floats:
    """Returns the values of an epoch, float32 (n, D)."""
    values: Floats = arrays["values"]
    return values.reshape(len(values), -1)


def limits_of(points: Numbers) -> Limits:
    """Returns the limits of the axes within which all points, float64 (n, 2), lie.

    The shorter side is widened, so that the picture is filled.
    """
    lows, highs = points.min(0), points.max(0)
    spans = (1 + 2 * MARGIN) * (highs - lows)
    half = np.maximum(spans, spans[::-1] * (RATIO, 1 / RATIO)) / 2
    (left, bottom), (right, top) = (((lows + highs) / 2 + sign * half).tolist() for sign in (-1, 1))
    return (left, right), (bottom, top)


def basis_text(epochs: int, fitted: int) -> str:
    """Returns the title's text about the epochs that the basis was fitted on.

    >>> basis_text(31, 16)
    'one PCA for 31 epochs, fitted on 16'
    """
    of_some = f", fitted on {fitted}" if fitted < epochs else ""
    return f"one PCA for {epochs} epoch{'' if epochs == 1 else 's'}{of_some}"
