"""Whether other data are like those that a run was trained on."""

from __future__ import annotations

import logging

from mlrun.data.images import ImageData
from mlrun.errors import MlrunError
from mlrun.preparing.weights import Restored

LOG = logging.getLogger("mlrun.data")


def check_like(data: ImageData, restored: Restored) -> None:
    """Raises MlrunError unless `data` have the shape and the classes of the run's images."""
    run, weights = restored.run.run_id, restored.weights
    if data.shape != weights.shape:
        raise MlrunError(f"its images are {data.shape}, those of run {run} {weights.shape}")
    theirs, ours = tuple(data.classes), weights.classes
    if len(theirs) != len(ours):
        raise MlrunError(f"it has {len(theirs)} classes, run {run} has {len(ours)}")
    for place, (their, our) in enumerate(zip(theirs, ours, strict=True)):
        if their != our:
            raise MlrunError(
                f"its classes are not those of run {run}: class {place} is {their}, there it is "
                f"{our}"
            )


def warn_of_range(data: ImageData, restored: Restored) -> None:
    """Warns where other values became 0 and 255 than in the images that the run was trained on."""
    theirs, ours = (
        "8 bits, as they are" if values is None else f"values {values[0]:.9g} to {values[1]:.9g}"
        for values in (data.value_range, restored.weights.value_range)
    )
    if theirs != ours:
        LOG.warning(
            "the images have %s, those that run %s was trained on %s; the figures may mean nothing "
            "(see --dataset.range)",
            theirs,
            restored.run.run_id,
            ours,
        )
