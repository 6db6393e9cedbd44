"""Digests of a data set's selections: equal ones mean the same images and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from mlrun.data.checked import checked_file_of
from mlrun.data.splits import Selection

DIGITS = 16  # of a digest that are kept, hexadecimal
AT_ONCE = 16 * 2**20  # bytes of images that are copied at once, where they must be
SAMPLED = 64 * 2**20  # bytes of images that went into a digest before it covered all of them


class GivenUpError(Exception):
    """A digest that is no longer waited for."""


def data_digest(selection: Selection, is_given_up: Callable[[], bool] = lambda: False) -> str:
    """Returns a digest of a selection: `sha256:` and 16 hexadecimal digits.

    It covers the images' shape, every label, every index and every byte of the images. Tensors
    that are mapped from a file are read once, from the first to the last. It runs beside other
    threads: most of its time is without Python's lock, and none of torch's threads are used.

    Images of `map_checked` are compared with what was written to their file in the same pass.

    Args:
        selection: the images.
        is_given_up: asked every few megabytes.

    Raises:
        GivenUpError: `is_given_up` said so.
        MlrunError: the file of the images is not as it was written.
    """
    sha = start_of(selection)
    for some in pixels(selection):
        if is_given_up():
            raise GivenUpError("it took too long")
        sha.update(some.data)
    return f"sha256:{sha.hexdigest()[:DIGITS]}"


def sampled_digest(selection: Selection) -> str:
    """Returns a selection's digest as versions of mlrun made it that did not read all images.

    16 hexadecimal digits, without the name of the algorithm: of more than 64 MiB of images, it
    covers as many as fill them, evenly spread. Runs of those versions are compared by it.
    """
    sha = start_of(selection)
    step = -(-len(selection) * selection.images[0].numel() // SAMPLED)
    for some in selection.indices[::step].split(4096):
        sha.update(selection.images[some].contiguous().numpy().tobytes())
    return sha.hexdigest()[:DIGITS]


def digest_like(other: str, selection: Selection) -> str:
    """Returns the digest of a selection that can be compared with `other`: made the same way."""
    return data_digest(selection) if ":" in other else sampled_digest(selection)


def start_of(selection: Selection) -> hashlib._Hash:
    """Returns a SHA-256 that has taken the images' shape, the labels and the indices."""
    sha = hashlib.sha256(str(tuple(selection.images.shape[1:])).encode())
    indices = selection.indices.numpy()
    sha.update(selection.labels.numpy()[indices].tobytes())
    sha.update(indices.tobytes())
    return sha


def pixels(selection: Selection) -> Iterator[NDArray[np.uint8]]:
    """Yields the bytes of a selection's images in their order, some images at a time.

    Raises:
        MlrunError: the file of the images is not as it was written.
    """
    file = checked_file_of(selection.images)
    images, indices = selection.images.numpy(), selection.indices.numpy()
    size = max(1, AT_ONCE // max(1, images[0].size))
    in_a_row = bool((np.diff(indices) == 1).all())
    for start in range(0, len(indices), size):
        rows = indices[start : start + size]
        if file is not None:
            file.compare_rows(selection.images, rows)
        some = images[rows[0] : rows[-1] + 1] if in_a_row else images[rows]
        yield np.ascontiguousarray(some)
