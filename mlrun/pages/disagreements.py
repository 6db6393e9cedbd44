"""Tested images that one run has right and another wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlrun.pages.account import Account, Tested
from mlrun.pages.pairs import Pair, right_in

SHOWN = 24  # images of one run right, the other wrong, that a page opens at most
MOST = 600  # images in a page


@dataclass(frozen=True)
class Image:
    """One tested image.

    run: the first run that was tested on it and keeps a small copy.
    place: in what that run was tested on.
    pixels: uint8 (C, h, w).
    """

    run: int
    place: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """What a run takes an image for: the class, and its probability, 0–1."""

    predicted: int
    probability: float


def small_copies(accounts: Sequence[Account], runs: Sequence[int]) -> dict[int, Image]:
    """Returns the small copies that any of these runs keeps, by place; all tested alike."""
    found: dict[int, Image] = {}
    for run in runs:
        kept = accounts[run].thumbnails
        if kept is not None:
            for place, pixels in zip(kept.places.tolist(), kept.images, strict=True):
                found.setdefault(place, Image(run, place, pixels))
    return found


def alike(count: int, pairs: Sequence[Pair]) -> list[list[int]]:
    """Returns the runs that were tested on the same images, several together."""
    found: list[list[int]] = []
    comparable = {(p.first, p.second) for p in pairs if p.difference is not None}
    for run in range(count):
        home = next((some for some in found if (some[0], run) in comparable), None)
        if home is None:
            found.append([run])
        else:
            home.append(run)
    return [some for some in found if len(some) > 1]


def disagreements(
    accounts: Sequence[Account], pairs: Sequence[Pair]
) -> list[tuple[Image, Mapping[int, Answer]]]:
    """Returns images about which runs disagree, with the answers of all that were tested on them.

    Of each pair it is those on which the wrong one is the surest, as many as there is room for.
    """
    found: list[tuple[Image, Mapping[int, Answer]]] = []
    sets = alike(len(accounts), pairs)
    for runs in sets:
        copies = small_copies(accounts, runs)
        tested = {run: one for run in runs if (one := accounts[run].tested) is not None}
        for place in chosen(tested, sorted(copies), MOST // len(sets)):
            answers = {
                run: Answer(int(one.predicted[place]), float(one.chances[place].max()))
                for run, one in tested.items()
            }
            found.append((copies[place], answers))
    return found


def chosen(tested: Mapping[int, Tested], places: Sequence[int], most: int) -> list[int]:
    """Returns `most` of `places` at most, ascending, shared out evenly among the pairs."""
    there = np.asarray(places, dtype=np.int64)
    right = {run: right_in(one)[there] for run, one in tested.items()}
    sure = {run: one.chances.max(1)[there] for run, one in tested.items()}
    wanted = []
    for first in tested:
        for second in tested:
            only = np.flatnonzero(right[first] & ~right[second])
            wanted.append(only[np.argsort(-sure[second][only], kind="stable")][:SHOWN])
    kept: set[int] = set()
    for rank in range(SHOWN):
        for only in wanted:
            if rank < len(only) and len(kept) < most:
                kept.add(int(there[only[rank]]))
    return sorted(kept)
