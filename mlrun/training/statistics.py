"""Statistics: intervals of accuracy, calibration, and tests whether two models differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlrun.errors import MlrunError

LEVEL = 0.05  # of the tests: p-values below it are called a difference


def interval(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Wilson's interval of a fraction: its ends, 0–1.

    The same as `scipy.stats.binomtest(right, total).proportion_ci(method="wilson")`, without
    the second or two that importing `scipy.stats` would add to the end of every run.

    Args:
        right: of `total` images, at least one.
        confidence: how often such an interval covers the true fraction.

    >>> [round(end, 4) for end in interval(352, 360)]
    [0.9568, 0.9887]
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    fraction, scale = right / total, 1 + z * z / total
    centre = (fraction + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(fraction * (1 - fraction) / total + z * z / (4 * total * total))
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == total else min(1.0, centre + half)
    return low, high


@dataclass(frozen=True)
class Calibration:
    """How well a model's probabilities agree with its accuracy.

    counts: int64 (B,), images by the probability of the predicted class, in B bins of equal
        width from 0 to 1, each with its upper end; an image whose probability is NaN is in none.
    confidence: float64 (B,), the mean of that probability; NaN in an empty bin.
    accuracy: float64 (B,), the fraction that is right; NaN in an empty bin.
    error: the expected calibration error, 0–1: the mean of |accuracy - confidence| over the
        bins, weighed by their counts; NaN where a probability is.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float


def calibration(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], *, bins: int = 15
) -> Calibration:
    """Returns the calibration of predicted probabilities, after Guo et al. (arXiv:1706.04599).

    Args:
        probabilities: (N, K), rows that sum to 1; N is at least 1.
        labels: (N,).
        bins: how many, at least 1.
    """
    highest = probabilities.max(1).astype(np.float64)
    right = (probabilities.argmax(1) == labels).astype(np.float64)
    known = np.isfinite(highest)
    highest, right = highest[known], right[known]
    places = np.clip(np.ceil(highest * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(places, highest, minlength=bins) / counts
        accuracy = np.bincount(places, right, minlength=bins) / counts
    gaps = np.nan_to_num(np.abs(accuracy - confidence))
    error = float((gaps * counts).sum() / len(labels)) if known.all() else math.nan
    return Calibration(counts, confidence, accuracy, error)


@dataclass(frozen=True)
class Difference:
    """Two models on the same images, by McNemar's exact test.

    images: how many. first, second: those that only this model predicted right.
    p: how probable a split as uneven as first to second, or more, is by chance (two-sided).
    corrected: p, corrected for all of `tests` that were made together; p itself where it is alone.
    """

    images: int
    first: int
    second: int
    p: float
    corrected: float
    tests: int = 1

    @property
    def shown(self) -> bool:
        """Whether the test tells the two models apart at 5 %, after correction."""
        return self.corrected < LEVEL

    def sentence(self, first: str, second: str) -> str:
        """Returns the difference in words that call the models `first` and `second`."""
        several = self.tests > 1
        raw = f"{'raw ' if several else ''}p = {p_text(self.p)}"
        if self.p >= LEVEL:
            images = counted(self.images)
            return f"{first} and {second}: no difference that {images} could show ({raw})"
        better, worse, most, least = first, second, self.first, self.second
        if self.second > self.first:
            better, worse, most, least = second, first, self.second, self.first
        split = f"right on {counted(most)} that the other has wrong, the other way round {least:,}"
        after = f"after correction for {self.tests:,} pairs"
        if not self.shown:
            return (
                f"{better} and {worse}: {better} is {split}; a difference is not shown at 5 % "
                f"{after} ({raw})"
            )
        p = f"p = {p_text(self.corrected)}"
        return f"{better} is better than {worse}: {split} ({p}{f' {after}' if several else ''})"


def counted(images: int) -> str:
    """Returns how many images, in words.

    >>> counted(1), counted(10_000)
    ('1 image', '10,000 images')
    """
    return f"{images:,} image{'' if images == 1 else 's'}"


def p_text(p: float) -> str:
    """Returns a p-value to two digits; to more near 5 %, on the side of it where it lies.

    >>> p_text(0.00049), p_text(1.0), p_text(0.0496)
    ('0.00049', '1', '0.0496')
    """
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return next((text for text in texts if (float(text) < LEVEL) == (p < LEVEL)), f"{p}")


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """Returns the difference of two models.

    Args:
        first, second: (N,), whether the model predicted each of the same images right.

    Raises:
        MlrunError: they are of different lengths.
    """
    from scipy.stats import binomtest

    if first.shape != second.shape:
        raise MlrunError(f"{len(first):,} and {len(second):,} images cannot be compared")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    total = only_first + only_second
    p = float(binomtest(only_first, total).pvalue) if total else 1.0
    return Difference(len(first), only_first, only_second, p, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for multiple tests, after Holm (1979), in the same order.

    Those below 0.05 hold together: that any of them is there by chance has at most that
    probability, however the tests depend on one another.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - done)))
        corrected[place] = largest
    return corrected
