"""The most confident mistakes, and the images with the highest losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from mlrun import Picture, View
from mlrun_visualisers.canvas.figures import captioned, message, tile_size
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.canvas.predictions import evaluation_of, names_of, outcomes_of
from mlrun_visualisers.canvas.scales import Pixels, colour_map
from mlrun_visualisers.canvas.signatures import PicturesAndTables, Table

if TYPE_CHECKING:
    from mlrun.plugin import Evaluation

SHORT_NAME = 5  # characters up to which two names stand in one line


def draw_misclassified(
    view: View, *, count: int, columns: int, part: str | None, cmap: str
) -> PicturesAndTables:
    """Yields the most confident mistakes as a grid, and as a table."""
    evaluation = evaluation_of(view, part)
    chances = evaluation.logits.softmax(1)
    places, wrong = surest_mistakes(chances, evaluation.labels, count)
    total = len(evaluation.labels)
    about = f"{evaluation.part}, epoch {view.epoch}: {wrong:,} of {total:,} misclassified"
    sure = chances[places].amax(1).tolist()
    figures = {
        "probability": rounded(sure),
        "probability of true": rounded(of_true(chances, evaluation.labels, places)),
    }
    tiles = tiles_of(view, evaluation.part, places, columns, cmap)
    texts = [f"{chance:.3f}" for chance in sure]
    if places:
        title = f"{about}\nthe surest first: true → predicted, and its probability"
        figure = grid_of(view, evaluation, places, tiles, texts, columns=columns, title=title)
    else:
        figure = message(about)
    yield "", Picture(figure, values_of(evaluation, places, {"probabilities": chances[places]}))
    yield "table", table_of(view, evaluation, places, tiles, figures)


def draw_top_losses(
    view: View, *, count: int, columns: int, part: str | None, cmap: str
) -> PicturesAndTables:
    """Yields the images with the highest cross-entropy as a grid, and as a table."""
    evaluation = evaluation_of(view, part)
    losses = F.cross_entropy(evaluation.logits.double(), evaluation.labels, reduction="none")
    places = losses.sort(descending=True, stable=True).indices[:count].tolist()
    highest, chances = losses[places].tolist(), (-losses[places]).exp().tolist()
    tiles = tiles_of(view, evaluation.part, places, columns, cmap)
    title = (
        f"{evaluation.part}, epoch {view.epoch}: the {len(places):,} highest losses of "
        f"{len(losses):,} images\ntrue → predicted, cross-entropy (mean "
        f"{losses.mean().item():.3g}), probability of the true class"
    )
    texts = [f"{loss:.2f}, p {chance:.2g}" for loss, chance in zip(highest, chances, strict=True)]
    figure = grid_of(view, evaluation, places, tiles, texts, columns=columns, title=title)
    yield "", Picture(figure, values_of(evaluation, places, {"losses": losses[places]}))
    figures = {"loss": rounded(highest), "probability of true": rounded(chances)}
    yield "table", table_of(view, evaluation, places, tiles, figures)


def tiles_of(view: View, part: str, places: Sequence[int], columns: int, cmap: str) -> list[Pixels]:
    """Returns images of a part in the size that they have in a grid of so many columns."""
    colour_map(cmap)
    size = tile_size(columns)
    return [tile(image.numpy(), size, cmap) for image in view.images(part, places)]


def grid_of(
    view: View,
    evaluation: Evaluation,
    places: Sequence[int],
    tiles: Sequence[Pixels],
    texts: Sequence[str],
    *,
    columns: int,
    title: str,
) -> Figure:
    """Returns the images, each with its true and predicted class and its text."""
    names = view.classes
    arrow = " → " if max(map(len, names)) <= SHORT_NAME else "\n→ "
    true = names_of(names, evaluation.labels[places].tolist())
    predicted = names_of(names, evaluation.predicted[places].tolist())
    captions = [
        f"{name}{arrow}{guess}\n{text}"
        for name, guess, text in zip(true, predicted, texts, strict=True)
    ]
    return captioned(tiles, captions, columns=columns, title=title)


def table_of(
    view: View,
    evaluation: Evaluation,
    places: Sequence[int],
    tiles: Sequence[Pixels],
    figures: Mapping[str, list[float]],
) -> Table:
    """Returns a table of images: each with its classes, `figures` of it, and its place."""
    return {
        "image": list(tiles),
        "true": names_of(view.classes, evaluation.labels[places].tolist()),
        "predicted": names_of(view.classes, evaluation.predicted[places].tolist()),
        **figures,
        "index": evaluation.indices[places].tolist(),
    }


def values_of(
    evaluation: Evaluation, places: Sequence[int], figures: Mapping[str, Tensor]
) -> dict[str, NDArray[Any]]:
    """Returns the arrays that a run keeps: `figures`, classes, and places in the own part."""
    return {
        **{name: tensor.numpy() for name, tensor in figures.items()},
        **outcomes_of(evaluation, places),
    }


def of_true(chances: Tensor, labels: Tensor, places: Sequence[int]) -> list[float]:
    """Returns the probability of the true class of the images at `places`."""
    return [chances[place, labels[place]].item() for place in places]


def rounded(figures: Sequence[float]) -> list[float]:
    """Returns figures with the four decimals of a table."""
    return [round(figure, 4) for figure in figures]


def surest_mistakes(chances: Tensor, labels: Tensor, count: int) -> tuple[list[int], int]:
    """Returns the places of the wrong predictions, the most certain first, and how many there are.

    Args:
        chances: softmaxed, float32 (N, K).
        labels: int64 (N,).
        count: how many places at most.
    """
    sure, predicted = chances.max(1)
    wrong = (predicted != labels).nonzero()[:, 0]
    order = sure[wrong].sort(descending=True, stable=True).indices
    return wrong[order[:count]].tolist(), len(wrong)
