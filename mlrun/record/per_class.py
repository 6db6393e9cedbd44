"""The classification report: precision, recall, F1 and support of each class, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlrun.record.tables import Cell, Table
from mlrun.training.predictions import Predictions

DIGITS = 4  # of each figure: MLflow's page shows a number as it is written


def per_class(predictions: Predictions, classes: Sequence[str]) -> Table:
    """Returns precision, recall, F1 and support of each class, one row a class.

    Precision is the fraction of the images predicted as a class whose label it is; recall the
    fraction of the images with that label that are predicted so; F1 their harmonic mean; each
    0–1, and None where the denominator is 0: of a class that is never predicted, or has no image.
    Support is the number of images with that label.
    """
    true_positives, predicted, support = (
        np.bincount(labels, minlength=len(classes))
        for labels in (
            predictions.labels[predictions.right],
            predictions.predicted,
            predictions.labels,
        )
    )
    return {
        "class": list(classes),
        "precision": rates(true_positives, predicted),
        "recall": rates(true_positives, support),
        "f1": rates(2 * true_positives, predicted + support),
        "support": support.tolist(),
    }


def with_dashes(table: Table) -> Table:
    """Returns the table with a dash for each None, which MLflow's pages would show as `null`."""
    return {
        name: ["–" if cell is None else cell for cell in cells] for name, cells in table.items()
    }


def rates(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> list[Cell]:
    """Returns parts / wholes, (K,), with `DIGITS` digits after the point; None of no whole."""
    return [
        round(part / whole, DIGITS) if whole else None
        for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True)
    ]
