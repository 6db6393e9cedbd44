"""Runs two by two: which is better, where both were tested on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mlrun.pages.account import Account
from mlrun.pages.results import accuracy_interval
from mlrun.record.evaluations import same_images
from mlrun.training.predictions import Predictions
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

    difference: by McNemar's exact test, corrected for all pairs (Holm); None where the two
        cannot be compared.
    sentence: the difference in words, or why the two cannot be compared.
    """

    first: int
    second: int
    difference: Difference | None
    sentence: str

    def other(self, run: int) -> int:
        """Returns the place of the run that is compared with `run`."""
        return self.second if run == self.first else self.first


def standing(predictions: Predictions | None) -> Standing | None:
    """Returns how well a run did in the test; None where no image was tested."""
    if predictions is None or not len(predictions.labels):
        return None
    total = len(predictions.labels)
    right, low, high = accuracy_interval(predictions)
    return Standing(right, total, right / total, low, high)


def alike_in_test(first: Account, second: Account) -> bool | None:
    """Whether two runs were tested on the same images, in the same order.

    None where that cannot be told.
    """
    one, other = first.predictions, second.predictions
    if (
        one is None
        or other is None
        or not np.array_equal(one.indices, other.indices)
        or not np.array_equal(one.labels, other.labels)
    ):
        return False
    return same_images(first.evaluated_on, second.evaluated_on)


def pairs(accounts: Sequence[Account], labels: Sequence[str]) -> list[Pair]:
    """Returns every pair of runs, the earlier one first.

    Args:
        accounts: of the runs.
        labels: the name of each run in the sentences.
    """
    places = list(combinations(range(len(accounts)), 2))
    differences = differences_of(accounts, places)
    return [
        Pair(*place, differences.get(place), sentence(place, differences, accounts, labels))
        for place in places
    ]


def differences_of(
    accounts: Sequence[Account], places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Difference]:
    """Returns how the runs of each pair differ, for pairs that were tested on the same images."""
    right = {
        run: account.predictions.right
        for run, account in enumerate(accounts)
        if account.predictions is not None
    }
    differences = {
        (first, second): mcnemar(right[first], right[second])
        for first, second in places
        if alike_in_test(accounts[first], accounts[second])
    }
    p_values = holm([difference.p for difference in differences.values()])
    return {
        place: replace(difference, corrected=p, tests=len(p_values))
        for (place, difference), p in zip(differences.items(), p_values, strict=True)
    }


def sentence(
    place: tuple[int, int],
    differences: Mapping[tuple[int, int], Difference],
    accounts: Sequence[Account],
    labels: Sequence[str],
) -> str:
    """Returns one sentence about a pair: how its runs differ, or why they cannot be compared."""
    first, second = (labels[run] for run in place)
    if place in differences:
        return differences[place].sentence(first, second)
    names = [labels[run] for run in place if accounts[run].predictions is None]
    if names:
        return f"{first} and {second} cannot be compared: {' and '.join(names)} was not tested"
    if alike_in_test(*(accounts[run] for run in place)) is None:
        reason = "whether they were tested on the same images cannot be told"
    else:
        reason = "they were tested on different images"
    return f"{first} and {second} cannot be compared: {reason}"
