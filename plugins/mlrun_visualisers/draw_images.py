"""Images of the data set: a choice of them, and the surest mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from matplotlib.figure import Figure

from mlrun import MlrunError, View
from mlrun_visualisers.captions import captioned, message, tile, tile_size
from mlrun_visualisers.choice import random_places
from mlrun_visualisers.grids import colour_map

SHORT_NAME = 5  # characters up to which two names stand in one line


def draw_samples(
    view: View, *, rows: int, columns: int, part: str, pick: str, seed: int, cmap: str
) -> Figure:
    """Returns a grid of images of a part with the names of their classes."""
    if rows < 1 or columns < 1:
        raise MlrunError("samples: rows and columns must be at least 1")
    colour_map(cmap)
    labels = view.labels(part)
    places = list(range(min(len(labels), rows * columns)))
    if pick == "random":
        places = random_places(len(labels), rows * columns, seed)
    size = tile_size(columns)
    return captioned(
        [tile(image.numpy(), size, cmap) for image in view.images(part, places)],
        [view.classes[label] for label in labels[places].tolist()],
        columns=columns,
        title=f"{part}: {len(places):,} of {len(labels):,} images, "
        f"{'drawn at random' if pick == 'random' else 'the first'}",
    )


def draw_misclassified(
    view: View, *, count: int, columns: int, part: str | None, cmap: str
) -> Iterator[tuple[str, Figure | dict[str, list[Any]]]]:
    """Yields the surest mistakes as a grid, and as a table."""
    if count < 1 or columns < 1:
        raise MlrunError("misclassified: count and columns must be at least 1")
    found = view.predictions if part is None else view.evaluation(part)
    chances = found.logits.softmax(1)
    places, wrong = surest_mistakes(chances, found.labels, count)
    about = f"{found.part}, epoch {view.epoch}: {wrong:,} of {len(found.labels):,} misclassified"
    labels, predicted = found.labels[places].tolist(), found.predicted[places].tolist()
    sure = chances[places].amax(1).tolist()
    size = tile_size(columns)
    tiles = [tile(image.numpy(), size, cmap) for image in view.images(found.part, places)]
    names = view.classes
    if not places:
        yield "", message(about)
    else:
        arrow = " → " if max(map(len, names)) <= SHORT_NAME else "\n→ "
        captions = [
            f"{names[label]}{arrow}{names[guess]}\n{chance:.3f}"
            for label, guess, chance in zip(labels, predicted, sure, strict=True)
        ]
        title = f"{about}\nthe surest first: true → predicted, and its probability"
        yield "", captioned(tiles, captions, columns=columns, title=title)
    yield (
        "table",
        {
            "image": tiles,
            "true": [names[label] for label in labels],
            "predicted": [names[guess] for guess in predicted],
            "probability": [round(chance, 4) for chance in sure],
            "probability of true": [
                round(chances[place, label].item(), 4)
                for place, label in zip(places, labels, strict=True)
            ],
            "index": found.indices[places].tolist(),
        },
    )


def surest_mistakes(
    chances: torch.Tensor, labels: torch.Tensor, count: int
) -> tuple[list[int], int]:
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
