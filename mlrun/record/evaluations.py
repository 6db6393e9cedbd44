"""The artifacts and the tag of an evaluation: predictions, thumbnails, and what it was made on."""

from __future__ import annotations

import re

from mlrun.settings.changes import Variant

FOLDER = "predictions"  # of the artifacts
DIGEST = re.compile(r"(?<=\(digest )([\w:]+)(?=\))")


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


def digest_in(text: str) -> str:
    """Returns the digest in a line that `evaluated_on` made; empty where there is none.

    >>> digest_in("test of digits (digest sha256:0123456789abcdef), rotated-25, seed 0")
    'sha256:0123456789abcdef'
    """
    match = DIGEST.search(text)
    return match[0] if match else ""


def same_images(first: str, second: str) -> bool | None:
    """Whether two lines that `evaluated_on` made mean the same images, changed alike.

    None where that cannot be told: one is empty, or one has a digest of an older version, which
    names no algorithm and may be of some of the images only. It is of all of them where its
    digits are those of the other.

    >>> old = "test of digits (digest 0123456789abcdef)"
    >>> same_images(old, old), same_images(old, "val of digits (digest 0123456789abcdef)")
    (True, False)
    >>> same_images(old, "test of digits (digest sha256:0123456789abcdef)")
    True
    >>> same_images(old, "test of digits (digest sha256:fedcba9876543210)")
    """
    if not first or not second:
        return None
    if DIGEST.sub("", first) != DIGEST.sub("", second):
        return False
    kinds, digits = zip(
        *(digest_in(text).rpartition(":")[::2] for text in (first, second)), strict=True
    )
    if digits[0] == digits[1] and set(kinds) <= {"", "sha256"}:
        return True
    return False if kinds[0] == kinds[1] else None
