"""The artifacts and the tag of an evaluation: predictions, thumbnails, and what it was made on."""

from __future__ import annotations

from mlrun.settings.changes import Variant

FOLDER = "predictions"  # of the artifacts


def predictions_file(name: str) -> str:
    """Returns the artifact with the logits of an evaluation, `test` or `test-rotated-25`.

    >>> predictions_file("test")
    'predictions/test.npz'
    """
    return f"{FOLDER}/{name}.npz"


def thumbnails_file(part: str) -> str:
    """Returns the artifact with small copies of some images of a part, for the report.

    >>> thumbnails_file("test")
    'predictions/test-images.npz'
    """
    return f"{FOLDER}/{part}-images.npz"


def evaluation_tag(name: str) -> str:
    """Returns the tag that names the images of an evaluation, and how they were changed.

    >>> evaluation_tag("test-rotated-25")
    'mlrun.evaluation.test-rotated-25'
    """
    return f"mlrun.evaluation.{name}"


def evaluated_on(part: str, dataset: str, digest: str, variant: Variant, seed: int) -> str:
    """Returns the images of an evaluation as one line; equal lines mean equal metrics.

    Args:
        part: of the data set called `dataset`.
        digest: of the images and labels, before they are changed.
        variant: how they are changed, by draws from `seed`.
    """
    text = f"{part} of {dataset} (digest {digest})"
    return f"{text}, {variant.name}, seed {seed}" if variant.active else text
