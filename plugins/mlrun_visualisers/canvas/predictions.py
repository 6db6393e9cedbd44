"""Predictions of the model on images of a part: evaluation, and the arrays that a run keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlrun import View

if TYPE_CHECKING:
    from mlrun.plugin import Evaluation

Labels = NDArray[np.int64]


def evaluation_of(view: View, part: str | None) -> Evaluation:
    """Returns the evaluation of a part; None is test at the end, validation before."""
    return view.predictions if part is None else view.evaluation(part)


def outcomes_of(evaluation: Evaluation, places: Sequence[int]) -> dict[str, Labels]:
    """Returns `labels`, `predicted` and `indices` of the images at `places`, int64 (n,) each.

    The indices are the images' places in the data set's own part.
    """
    return {
        "labels": evaluation.labels[places].numpy(),
        "predicted": evaluation.predicted[places].numpy(),
        "indices": evaluation.indices[places].numpy(),
    }


def names_of(classes: Sequence[str], labels: Iterable[int]) -> list[str]:
    """Returns the name of the class of each label."""
    return [classes[label] for label in labels]
