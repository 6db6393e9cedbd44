"""The one range of values of an image folder whose files have more than 8 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlrun import MlrunError
from mlrun_datasets.decoders import FULL, Range, Rule, measure_all
from mlrun_datasets.decoding_progress import LOG, log_info
from mlrun_datasets.image_files import Listing

FEW = 32  # of 256 levels
MOST_OF = 0.999  # of the pixels: a few dead or hot ones lie on levels of their own


def check_range(value_range: Range | None) -> None:
    """Raises MlrunError unless the option `range` is two finite numbers, the lower first."""
    if value_range is None:
        return
    low, high = value_range
    if not -math.inf < low < high < math.inf:
        raise MlrunError(
            f"--dataset.range {low:.9g},{high:.9g}: expected two numbers, the lower first, as in "
            "1000,1200"
        )


def find_range(listing: Listing, rule: Rule, workers: int) -> Range:
    """Returns the lowest and highest value of the training images of more than 8 bits.

    Where only other parts have such images, it is that of 16 bits.

    Raises:
        MlrunError: all values are one.
    """
    paths = [str(listing.folder / file.path) for file in listing.parts["train"]]
    limits = measure_all(paths, rule, workers)
    if limits is None:
        return FULL
    if limits[0] == limits[1]:
        raise MlrunError(
            f"every value of the training images in {listing.source[0]} is {limits[0]:.9g}, so "
            "nothing can be learned from them; the range that is wanted can be given: "
            "--dataset.range LOW,HIGH"
        )
    log_info(listing.dataset, f"the training images' values, {words(limits)}, become 0 to 255")
    return limits


def levels_used(counts: NDArray[np.int64]) -> int:
    """Returns how few of the levels hold nearly all values, of their counts, int64 (256,)."""
    largest = np.sort(counts)[::-1].cumsum()
    return int(np.searchsorted(largest, MOST_OF * largest[-1])) + 1


def report_range(manifest: Mapping[str, Any], listing: Listing, asked_for: Range | None) -> None:
    """Warns where the range leaves little of the images, or does not concern them."""
    total = sum(map(len, listing.parts.values()))
    if manifest["range"] is None:
        if asked_for is not None:
            LOG.warning(
                "%s: --dataset.range %s changes nothing: no image in %s has more than 8 bits",
                listing.dataset,
                ",".join(f"{value:.9g}" for value in asked_for),
                listing.source[0],
            )
        return
    if manifest["narrow"]:
        LOG.warning(
            "%s: %s of %s images have 8 bits and stay as they are, in the others the "
            "values %s become 0 to 255; --dataset.range LOW,HIGH gives another range",
            listing.dataset,
            f"{manifest['narrow']:,}",
            f"{total:,}",
            words(manifest["range"]),
        )
    if manifest["levels"] is not None and manifest["levels"] < FEW:
        LOG.warning(
            "%s: nearly all pixels of the training images lie on %d of 256 levels, as "
            "the values %s become 0 to 255; give the range that matters: --dataset.range LOW,HIGH",
            listing.dataset,
            manifest["levels"],
            words(manifest["range"]),
        )


def words(value_range: Range | list[float]) -> str:
    """Returns a range in words: `1000 to 1200`."""
    return " to ".join(f"{value:.9g}" for value in value_range)
