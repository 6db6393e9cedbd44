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
    0–1, and 0 where the denominator is 0. Support is the number of images with that label.
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
        "precision": rounded(true_positives / np.maximum(predicted, 1)),
        "recall": rounded(true_positives / np.maximum(support, 1)),
        "f1": rounded(2 * true_positives / np.maximum(predicted + support, 1)),
        "support": support.tolist(),
    }


def rounded(fractions: NDArray[np.float64]) -> list[Cell]:
    """Returns the values of (K,) with `DIGITS` digits after the point."""
    return [round(value, DIGITS) for value in fractions.tolist()]
