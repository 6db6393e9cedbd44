"""Tested images that one run predicts right and another wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlrun.pages.account import Account
from mlrun.pages.pairs import Pair
from mlrun.training.predictions import Predictions

SHOWN = 24  # images at most that one run of a pair has right and the other wrong
MOST = 600  # images in a page


@dataclass(frozen=True)
class Image:
    """One tested image.

    run: the first run that was tested on it and keeps a small copy.
    place: its row in that run's predictions.
    pixels: uint8 (C, h, w).
    """

    run: int
    place: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """The class that a run predicts for an image, and its probability, 0–1."""

    predicted: int
    probability: float


def small_copies(accounts: Sequence[Account], runs: Sequence[int]) -> dict[int, Image]:
    """Returns by place the small copies that any of these runs keeps.

    Args:
        runs: tested on the same images.
    """
    copies: dict[int, Image] = {}
    for run in runs:
        thumbnails = accounts[run].thumbnails
        if thumbnails is not None:
            for place, pixels in zip(thumbnails.places.tolist(), thumbnails.images, strict=True):
                copies.setdefault(place, Image(run, place, pixels))
    return copies


def tested_alike(count: int, pairs: Sequence[Pair]) -> list[list[int]]:
    """Returns the sets of two runs and more that were tested on the same images."""
    sets: list[list[int]] = []
    comparable = {(pair.first, pair.second) for pair in pairs if pair.difference is not None}
    for run in range(count):
        for runs in sets:
            if (runs[0], run) in comparable:
                runs.append(run)
                break
        else:
            sets.append([run])
    return [runs for runs in sets if len(runs) > 1]


def disagreements(
    accounts: Sequence[Account], pairs: Sequence[Pair]
) -> list[tuple[Image, Mapping[int, Prediction]]]:
    """Returns images about which runs disagree, with the prediction of each run tested on them.

    Of each pair they are those of which the wrong run is most confident, as many as there is
    room for.
    """
    images: list[tuple[Image, Mapping[int, Prediction]]] = []
    sets = tested_alike(len(accounts), pairs)
    for runs in sets:
        copies = small_copies(accounts, runs)
        by_run = {run: one for run in runs if (one := accounts[run].predictions) is not None}
        for place in disputed(by_run, sorted(copies), MOST // len(sets)):
            predictions = {
                run: Prediction(int(one.predicted[place]), float(one.confidence[place]))
                for run, one in by_run.items()
            }
            images.append((copies[place], predictions))
    return images


def disputed(by_run: Mapping[int, Predictions], places: Sequence[int], most: int) -> list[int]:
    """Returns `most` of `places` at most, ascending, shared out evenly among the pairs.

    Args:
        by_run: the predictions of each run.
        places: of images that may be shown.
    """
    rows = np.asarray(places, dtype=np.int64)
    right = {run: one.right[rows] for run, one in by_run.items()}
    confidence = {run: one.confidence[rows] for run, one in by_run.items()}
    candidates = []
    for first in by_run:
        for second in by_run:
            only_first = np.flatnonzero(right[first] & ~right[second])
            order = np.argsort(-confidence[second][only_first], kind="stable")
            candidates.append(rows[only_first[order]][:SHOWN].tolist())
    selection: set[int] = set()
    for rank in range(SHOWN):
        for of_pair in candidates:
            if rank < len(of_pair) and len(selection) < most:
                selection.add(of_pair[rank])
    return sorted(selection)
