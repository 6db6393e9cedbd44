"""Runs two by two: which is the better one, where they were tested on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mlrun.pages.account import Tested
from mlrun.pages.tested import right_interval
from mlrun.training.statistics import Difference, holm, mcnemar


@dataclass(frozen=True)
class Standing:
    """How many images a run has right: the fraction, 0–1, with its 95 % interval (Wilson)."""

    right: int
    total: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """Two runs, by their places among those compared.

    difference: by McNemar's exact test, p corrected for all pairs (Holm); None where the two
        cannot be compared.
    sentence: what it comes to, or why it cannot be said.
    """

    first: int
    second: int
    difference: Difference | None
    sentence: str


def right_in(tested: Tested) -> NDArray[np.bool_]:
    """Returns whether each tested image was taken for what it is: (N,)."""
    return np.asarray(tested.predicted == tested.labels)


def standing(tested: Tested) -> Standing | None:
    """Returns how well a run did; None where there is no image."""
    total = len(tested.labels)
    if not total:
        return None
    right, low, high = right_interval(tested)
    return Standing(right, total, right / total, low, high)


def same_images(first: Tested, second: Tested) -> bool:
    """Whether two runs were tested on the same images, in the same order."""
    return (
        bool(first.what)
        and first.what == second.what
        and np.array_equal(first.indices, second.indices)
        and np.array_equal(first.labels, second.labels)
    )


def pairs(tested: Sequence[Tested | None], labels: Sequence[str]) -> list[Pair]:
    """Returns every pair of runs, the earlier one first.

    Args:
        tested: of each run; None where it was not tested.
        labels: what the sentences call each run.
    """
    found: dict[tuple[int, int], Difference] = {}
    right = [None if one is None else right_in(one) for one in tested]
    for place, (first, second) in zip(places(len(tested)), combinations(tested, 2), strict=True):
        if first is not None and second is not None and same_images(first, second):
            one, other = (right[k] for k in place)
            assert one is not None
            assert other is not None
            found[place] = mcnemar(one, other)
    corrected = holm([difference.p for difference in found.values()])
    for place, p in zip(found, corrected, strict=True):
        found[place] = replace(found[place], p=p)
    return [
        Pair(first, second, found.get((first, second)), told(first, second, found, tested, labels))
        for first, second in places(len(tested))
    ]


def places(count: int) -> list[tuple[int, int]]:
    """Returns the places of all pairs of so many."""
    return list(combinations(range(count), 2))


def told(
    first: int,
    second: int,
    found: dict[tuple[int, int], Difference],
    tested: Sequence[Tested | None],
    labels: Sequence[str],
) -> str:
    """Returns one sentence about a pair."""
    one, other = labels[first], labels[second]
    if (first, second) in found:
        return found[first, second].told(one, other)
    missing = [labels[place] for place in (first, second) if tested[place] is None]
    if missing:
        return f"{one} and {other} cannot be compared: {' and '.join(missing)} was not tested"
    return f"{one} and {other} cannot be compared: they were tested on different images"


def best_place(standings: Sequence[Standing | None]) -> int | None:
    """Returns the place of the highest accuracy, the first of equal ones; None if there is none."""
    there = [place for place, one in enumerate(standings) if one is not None]
    return max(there, key=lambda place: accuracy_at(standings, place)) if there else None


def accuracy_at(standings: Sequence[Standing | None], place: int) -> float:
    """Returns the accuracy of the run at `place`, 0 if it was not tested."""
    one = standings[place]
    return 0.0 if one is None else one.accuracy
