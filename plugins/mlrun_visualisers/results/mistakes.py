"""The images that a model has most wrong: the surest mistakes, and the highest losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from mlrun import Picture, View
from mlrun_visualisers.canvas.figures import captioned, message, tile_size
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.canvas.scales import Pixels, colour_map

if TYPE_CHECKING:
    from mlrun.plugin import Evaluation

SHORT_NAME = 5  # characters up to which two names stand in one line
Drawn = Iterator[tuple[str, Picture | dict[str, list[Any]]]]


def draw_misclassified(
    view: View, *, count: int, columns: int, part: str | None, cmap: str
) -> Drawn:
    """Yields the surest mistakes as a grid, and as a table."""
    found = view.predictions if part is None else view.evaluation(part)
    chances = found.logits.softmax(1)
    places, wrong = surest_mistakes(chances, found.labels, count)
    about = f"{found.part}, epoch {view.epoch}: {wrong:,} of {len(found.labels):,} misclassified"
    sure = chances[places].amax(1).tolist()
    figures = {
        "probability": rounded(sure),
        "probability of true": rounded(of_true(chances, found.labels, places)),
    }
    tiles = tiles_of(view, found.part, places, columns, cmap)
    told = [f"{chance:.3f}" for chance in sure]
    if places:
        title = f"{about}\nthe surest first: true → predicted, and its probability"
        figure = grid_of(view, found, places, tiles, told, columns=columns, title=title)
    else:
        figure = message(about)
    yield "", Picture(figure, values_of(found, places, {"probabilities": chances[places]}))
    yield "table", table_of(view, found, places, tiles, figures)


def draw_top_losses(view: View, *, count: int, columns: int, part: str | None, cmap: str) -> Drawn:
    """Yields the images with the highest cross-entropy as a grid, and as a table."""
    found = view.predictions if part is None else view.evaluation(part)
    losses = F.cross_entropy(found.logits.double(), found.labels, reduction="none")
    places = losses.sort(descending=True, stable=True).indices[:count].tolist()
    highest, chances = losses[places].tolist(), (-losses[places]).exp().tolist()
    tiles = tiles_of(view, found.part, places, columns, cmap)
    title = (
        f"{found.part}, epoch {view.epoch}: the {len(places):,} highest losses of "
        f"{len(losses):,} images\ntrue → predicted, cross-entropy (mean "
        f"{losses.mean().item():.3g}), probability of the true class"
    )
    told = [f"{loss:.2f}, p {chance:.2g}" for loss, chance in zip(highest, chances, strict=True)]
    figure = grid_of(view, found, places, tiles, told, columns=columns, title=title)
    yield "", Picture(figure, values_of(found, places, {"losses": losses[places]}))
    figures = {"loss": rounded(highest), "probability of true": rounded(chances)}
    yield "table", table_of(view, found, places, tiles, figures)


def tiles_of(view: View, part: str, places: Sequence[int], columns: int, cmap: str) -> list[Pixels]:
    """Returns images of a part as they stand in a grid of so many columns."""
    colour_map(cmap)
    size = tile_size(columns)
    return [tile(image.numpy(), size, cmap) for image in view.images(part, places)]


def grid_of(
    view: View,
    found: Evaluation,
    places: Sequence[int],
    tiles: Sequence[Pixels],
    told: Sequence[str],
    *,
    columns: int,
    title: str,
) -> Figure:
    """Returns the images, each with its true and predicted class and what is `told` of it."""
    names = view.classes
    arrow = " → " if max(map(len, names)) <= SHORT_NAME else "\n→ "
    captions = [
        f"{names[label]}{arrow}{names[guess]}\n{text}"
        for label, guess, text in zip(
            found.labels[places].tolist(), found.predicted[places].tolist(), told, strict=True
        )
    ]
    return captioned(tiles, captions, columns=columns, title=title)


def table_of(
    view: View,
    found: Evaluation,
    places: Sequence[int],
    tiles: Sequence[Pixels],
    figures: Mapping[str, list[float]],
) -> dict[str, list[Any]]:
    """Returns a table of images: each with its classes, `figures` of it, and its place."""
    return {
        "image": list(tiles),
        "true": [view.classes[label] for label in found.labels[places].tolist()],
        "predicted": [view.classes[guess] for guess in found.predicted[places].tolist()],
        **figures,
        "index": found.indices[places].tolist(),
    }


def values_of(
    found: Evaluation, places: Sequence[int], figures: Mapping[str, Tensor]
) -> dict[str, NDArray[Any]]:
    """Returns what a run keeps of the images: `figures`, classes, and places in the own part."""
    known = {
        **figures,
        "labels": found.labels[places],
        "predicted": found.predicted[places],
        "indices": found.indices[places],
    }
    return {name: tensor.numpy() for name, tensor in known.items()}


def of_true(chances: Tensor, labels: Tensor, places: Sequence[int]) -> list[float]:
    """Returns the probability of the true class of the images at `places`."""
    return [chances[place, labels[place]].item() for place in places]


def rounded(figures: Sequence[float]) -> list[float]:
    """Returns figures as a table tells them."""
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
