"""What was predicted for each training image by the run of a cross-validation that left it out."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlrun.errors import MlrunError
from mlrun.finished.read import predictions_in
from mlrun.record.evaluations import predictions_file
from mlrun.record.folders import run_folder
from mlrun.record.ledger import unsent_file
from mlrun.record.logged import find_run
from mlrun.running.run import Run
from mlrun.training.predictions import Predictions

FILE = "out-of-fold.npz"  # the artifact


def out_of_fold(runs: Sequence[Run]) -> tuple[bytes, dict[str, float]]:
    """Returns the predictions of all folds as an archive, and their figures.

    The archive, `.npz`, has for each image that was trained on, in the order of their places:
    `indices`, its place in the data set's training part, int64; `labels` and `predicted`, class
    numbers, int64; `probabilities`, float32 (N, K); `folds`, which fold it was in, from 1, int64.

    Raises:
        MlrunError: predictions of a run cannot be had, or two have the same image.
    """
    parts = [predictions_of(run) for run in runs]
    indices = np.concatenate([part.indices for part in parts])
    order = np.argsort(indices, kind="stable")
    if len(np.unique(indices)) < len(indices):
        raise MlrunError("two folds have the same image; were the data changed between them?")
    whole = Predictions(
        "val",
        np.concatenate([part.logits for part in parts])[order],
        np.concatenate([part.labels for part in parts])[order],
        indices[order],
    )
    numbers = np.repeat(np.arange(1, len(parts) + 1), [len(part.labels) for part in parts])
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        indices=whole.indices,
        labels=whole.labels,
        predicted=whole.predicted,
        probabilities=whole.probabilities,
        folds=numbers[order],
    )
    return buffer.getvalue(), {"out-of-fold/accuracy": whole.accuracy}


def predictions_of(run: Run) -> Predictions:
    """Returns what a run's best weights predict for its validation part, as it logged that."""
    name = predictions_file("val")
    with tempfile.TemporaryDirectory() as folder:
        file = unsent_file(run_folder(run.run_id), name)
        if file is None:
            file = find_run(run.run_id).download(name, Path(folder))
        return predictions_in(file, part="val")
