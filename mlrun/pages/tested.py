"""What a page tells of the tested images: who was taken for whom, how surely, how rightly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlrun.pages.account import Account, Tested, Thumbnails
from mlrun.pages.curves import Chart, line
from mlrun.pages.thumbnails import LOSSES, sprite
from mlrun.record.tables import Table
from mlrun.training.statistics import Calibration, interval

LARGEST_TABLE = 30  # classes: of more, a map and a list of the pairs that are mixed up most


@dataclass(frozen=True)
class Square:
    """A cell of the confusion matrix: images of class `true` that were taken for `predicted`.

    share: of the images of class `true`, 0–1.
    """

    true: int
    predicted: int
    count: int
    share: float


def class_names(account: Account, tested: Tested) -> list[str]:
    """Returns the names of the classes; their numbers where they are not known."""
    count = tested.logits.shape[1]
    known = len(account.classes) == count
    return list(account.classes) if known else [str(number) for number in range(count)]


def right_interval(tested: Tested) -> tuple[int, float, float]:
    """Returns how many images are right, and the 95 % interval of their fraction."""
    right = int((tested.predicted == tested.labels).sum())
    return (right, *interval(right, len(tested.labels)))


def confusion(tested: Tested) -> NDArray[np.int64]:
    """Returns how often class i was taken for class j: (K, K), rows true, columns predicted."""
    classes = tested.logits.shape[1]
    cells = tested.labels * classes + tested.predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def squares(counts: NDArray[np.int64]) -> Iterator[list[Square]]:
    """Yields the rows of the matrix."""
    for true, row in enumerate(counts.tolist()):
        total = max(1, sum(row))
        yield [Square(true, place, count, count / total) for place, count in enumerate(row)]


def filled(counts: NDArray[np.int64]) -> list[list[int]]:
    """Returns [true, predicted, count] of each cell that is not empty, row by row."""
    true, predicted = np.nonzero(counts)
    places = zip(true.tolist(), predicted.tolist(), counts[true, predicted].tolist(), strict=True)
    return [list(place) for place in places]


def images(tested: Tested, kept: Thumbnails) -> dict[str, Any]:
    """Returns what `images.js` reads as `DATA.images`: a sprite, and what each image is.

    Of each, in the sprite's order: its place in the data set's part, its class, the one it was
    taken for, the probability of that one, and its loss.
    """
    sheet = sprite(kept)
    rows = zip(
        tested.indices[kept.places].tolist(),
        tested.labels[kept.places].tolist(),
        tested.predicted[kept.places].tolist(),
        tested.chances.max(1)[kept.places].round(5).tolist(),
        tested.losses[kept.places].round(4).tolist(),
        strict=True,
    )
    return {
        "sprite": sheet.address,
        "columns": sheet.columns,
        "width": sheet.width,
        "height": sheet.height,
        "rows": [list(row) for row in rows],
    }


def highest_losses(tested: Tested, kept: Thumbnails) -> list[int]:
    """Returns, highest loss first, where the images lie in the sprite."""
    losses = tested.losses[kept.places]
    return [int(place) for place in np.argsort(-losses, kind="stable")[:LOSSES]]


def class_rows(tested: Tested, classes: Sequence[str]) -> Table:
    """Returns the table of precision, recall, F1 and support of each class."""
    import torch

    from mlrun.record.per_class import per_class
    from mlrun.training.evaluation import Evaluation

    right, _, _ = right_interval(tested)
    evaluation = Evaluation(
        part=tested.part,
        logits=torch.tensor(tested.logits),
        labels=torch.tensor(tested.labels),
        indices=torch.tensor(tested.indices),
        loss=float(tested.losses.mean()),
        accuracy=right / len(tested.labels),
    )
    return per_class(evaluation, classes)


def reliability(found: Calibration) -> Chart:
    """Returns the reliability diagram: accuracy by probability, over bars of how many images."""
    edges = np.linspace(0, 1, len(found.counts) + 1).tolist()
    bins = [
        (float(sure), float(right), int(count))
        for sure, right, count in zip(found.confidence, found.accuracy, found.counts, strict=True)
        if count
    ]
    points = [(sure, right) for sure, right, _ in bins]
    band = [(sure, *interval(round(right * count), count)) for sure, right, count in bins]
    return {
        "title": "accuracy",
        "x": "probability",
        "percent": True,
        "diagonal": True,
        "height": 300,
        "domain": {"x": [0, 1], "y": [0, 1]},
        "bars": [
            [low, high, int(count)]
            for low, high, count in zip(edges, edges[1:], found.counts, strict=False)
            if count
        ],
        "series": [line("accuracy", points, band=band)],
    }


def robustness(table: Table) -> dict[str, Chart]:
    """Returns a chart for each way in which the images are changed, on one scale.

    Args:
        table: `robustness-table`, with the columns change, amount, accuracy, low and high.
    """
    names = ("change", "amount", "accuracy", "low", "high")
    rows = [row for row in zip(*(table[name] for name in names), strict=True) if None not in row]
    floor = min((float(str(row[3])) for row in rows), default=0.0)
    changes = dict.fromkeys(str(row[0]) for row in rows)
    found: dict[str, Chart] = {}
    for place, change in enumerate(changes):
        mine = sorted(tuple(float(str(v)) for v in row[1:]) for row in rows if row[0] == change)
        found[f"robustness/{change}"] = {
            "title": change,
            "x": "amount",
            "percent": True,
            "domain": {"y": [max(0.0, floor - 0.05), 1]},
            "series": [
                line(
                    "accuracy",
                    [(amount, accuracy) for amount, accuracy, _, _ in mine],
                    place,
                    band=[(amount, low, high) for amount, _, low, high in mine],
                )
            ],
        }
    return found
