"""How well each class was told from the others, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlrun.record.tables import Cell, Table

if TYPE_CHECKING:
    from torch import Tensor

    from mlrun.training.evaluation import Evaluation

DIGITS = 4  # of each figure: MLflow's page shows a number as it is written


def per_class(evaluation: Evaluation, classes: Sequence[str]) -> Table:
    """Returns precision, recall, F1 and support of each class, one row a class.

    Precision is the fraction of the images taken for a class that are of it; recall the
    fraction of its images that were taken for it; F1 their harmonic mean; each 0–1, and 0
    where there is nothing to divide by. Support is how many images of the class there are.
    """
    labels, predicted = evaluation.labels, evaluation.predicted
    right, taken, there = (
        some.bincount(minlength=len(classes)).double()
        for some in (labels[labels == predicted], predicted, labels)
    )
    return {
        "class": list(classes),
        "precision": rounded(right / taken.clamp(min=1)),
        "recall": rounded(right / there.clamp(min=1)),
        "f1": rounded(2 * right / (taken + there).clamp(min=1)),
        "support": [int(count) for count in there.tolist()],
    }


def rounded(fractions: Tensor) -> list[Cell]:
    """Returns the values of (K,) with `DIGITS` digits after the point."""
    return [round(value, DIGITS) for value in fractions.tolist()]
