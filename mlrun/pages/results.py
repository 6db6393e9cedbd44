"""The results of a test in a page: confusion matrix, images, reliability and robustness."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlrun.errors import MlrunError
from mlrun.pages.account import Account, Thumbnails
from mlrun.pages.charts import Chart, line
from mlrun.pages.thumbnails import LOSSES, sprite
from mlrun.record.tables import Table
from mlrun.training.predictions import Predictions
from mlrun.training.statistics import Calibration, interval

ROBUSTNESS = "robustness-table"
POINT = ("change", "amount", "accuracy", "low", "high")  # the columns of that table
LARGEST_TABLE = 30  # classes: of more, a map and a list of the pairs that are mixed up most


@dataclass(frozen=True)
class MatrixCell:
    """A cell of the confusion matrix: images of class `true` that were taken for `predicted`.

    share: of the images of class `true`, 0–1; None where it has none.
    """

    true: int
    predicted: int
    count: int
    share: float | None


def class_names(account: Account, predictions: Predictions) -> list[str]:
    """Returns the names of the classes; their numbers where they are not known."""
    count = predictions.logits.shape[1]
    if len(account.classes) == count:
        return list(account.classes)
    return [str(number) for number in range(count)]


def accuracy_interval(predictions: Predictions) -> tuple[int, float, float]:
    """Returns how many images are right, and the 95 % interval of their fraction."""
    right = int(predictions.right.sum())
    return (right, *interval(right, len(predictions.labels)))


def matrix_rows(counts: NDArray[np.int64]) -> Iterator[list[MatrixCell]]:
    """Yields the rows of the confusion matrix."""
    for true, row in enumerate(counts.tolist()):
        total = sum(row)
        yield [
            MatrixCell(true, predicted, count, count / total if total else None)
            for predicted, count in enumerate(row)
        ]


def nonzero_cells(counts: NDArray[np.int64]) -> list[list[int]]:
    """Returns [true, predicted, count] of each cell that is not empty, row by row."""
    true, predicted = np.nonzero(counts)
    cells: list[list[int]] = np.stack([true, predicted, counts[true, predicted]], axis=1).tolist()
    return cells


def images(predictions: Predictions, thumbnails: Thumbnails) -> dict[str, Any]:
    """Returns what `images.js` reads as `DATA.images`: a sprite, and a row for each image.

    A row, in the sprite's order, is the image's place in the data set's part, its label, the
    predicted class, the probability of that class, and the loss.
    """
    sheet, places = sprite(thumbnails), thumbnails.places
    rows = zip(
        predictions.indices[places].tolist(),
        predictions.labels[places].tolist(),
        predictions.predicted[places].tolist(),
        predictions.confidence[places].round(5).tolist(),
        predictions.losses[places].round(4).tolist(),
        strict=True,
    )
    return {
        "sprite": sheet.address,
        "columns": sheet.columns,
        "width": sheet.width,
        "height": sheet.height,
        "rows": [list(row) for row in rows],
    }


def highest_losses(predictions: Predictions, thumbnails: Thumbnails) -> list[int]:
    """Returns where the images with the highest losses lie in the sprite, highest first."""
    losses = predictions.losses[thumbnails.places]
    order: list[int] = np.argsort(-losses, kind="stable")[:LOSSES].tolist()
    return order


def reliability(calibration: Calibration) -> Chart:
    """Returns the reliability diagram: accuracy by confidence, over bars of how many images."""
    counts = calibration.counts.tolist()
    edges = np.linspace(0, 1, len(counts) + 1).tolist()
    bins = [
        (confidence, accuracy, count)
        for confidence, accuracy, count in zip(
            calibration.confidence.tolist(), calibration.accuracy.tolist(), counts, strict=True
        )
        if count
    ]
    band = [
        (confidence, *interval(round(accuracy * count), count))
        for confidence, accuracy, count in bins
    ]
    return {
        "title": "accuracy",
        "x": "probability",
        "percent": True,
        "diagonal": True,
        "height": 300,
        "domain": {"x": [0, 1], "y": [0, 1]},
        "bars": [
            [low, high, count]
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
            if count
        ],
        "series": [line("accuracy", [(x, accuracy) for x, accuracy, _ in bins], band=band)],
    }


def robustness(table: Table) -> dict[str, Chart]:
    """Returns a chart for each way in which the images are changed, on one scale.

    Args:
        table: `ROBUSTNESS`, with the columns of `POINT`.

    Raises:
        MlrunError: it has other columns, or a figure in them is no number.
    """
    missing = [name for name in POINT if name not in table]
    if missing:
        raise MlrunError(f"it has no column {missing[0]}; expected {', '.join(POINT)}")
    by_change: dict[str, list[tuple[float, ...]]] = {}
    for change, *figures in zip(*(table[name] for name in POINT), strict=True):
        if change is None or None in figures:
            continue
        row = [float(figure) for figure in figures if isinstance(figure, int | float)]
        if len(row) < len(figures) or not all(map(math.isfinite, row)):
            raise MlrunError(f"a row of {change} is {figures}; expected numbers")
        by_change.setdefault(str(change), []).append(tuple(row))
    lowest = min((low for rows in by_change.values() for _, _, low, _ in rows), default=0.0)
    return {
        f"robustness/{change}": {
            "title": change,
            "x": "amount",
            "percent": True,
            "domain": {"y": [max(0.0, lowest - 0.05), 1]},
            "series": [
                line(
                    "accuracy",
                    [(amount, accuracy) for amount, accuracy, _, _ in sorted(rows)],
                    place,
                    band=[(amount, low, high) for amount, _, low, high in sorted(rows)],
                )
            ],
        }
        for place, (change, rows) in enumerate(by_change.items())
    }
