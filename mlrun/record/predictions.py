"""Predictions among a run's artifacts: what they hold, and the tag that says of which images."""

from __future__ import annotations

import io

import numpy as np

from mlrun.settings.changes import Variant
from mlrun.training.evaluation import Evaluation


def test_arrays(evaluation: Evaluation) -> bytes:
    """Returns an evaluation as a compressed `.npz`.

    logits: float32 (N, K). labels: int64 (N,). indices: int64 (N,), places in the data
    set's test part.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        logits=evaluation.logits.numpy(),
        labels=evaluation.labels.numpy(),
        indices=evaluation.indices.numpy(),
    )
    return buffer.getvalue()


def evaluated_on(part: str, dataset: str, digest: str, variant: Variant, seed: int) -> str:
    """Returns what decides figures, on one line: equal texts mean equal figures.

    Args:
        part: of the data set called `dataset`.
        digest: of the images and labels, before they are changed.
        variant: how they are changed, by draws from `seed`.
    """
    text = f"{part} of {dataset} (digest {digest})"
    return f"{text}, {variant.name}, seed {seed}" if variant.active else text


def evaluation_tag(name: str) -> str:
    """Returns the tag that says what is logged under `name`."""
    return f"mlrun.evaluation.{name}"
