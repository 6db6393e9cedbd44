"""The pictures of several runs side by side under one slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlrun.pages import pictures
from mlrun.pages.pictures import BUDGET, Files, Still

LEAST = 2  # runs that have a picture, for it to be compared


@dataclass(frozen=True)
class Shelf:
    """One picture of several runs: the frames' key and the size in each, None where it is not."""

    key: str
    stills: tuple[tuple[str, Still] | None, ...]


@dataclass(frozen=True)
class Album:
    """What stands under the slider.

    epochs: that the slider stops at, ascending. shelves: by key, in order.
    frames: what `slider.js` reads.
    notes: what was left out to keep the page small, a sentence each.
    alone: keys of pictures that one run alone has.
    """

    epochs: tuple[int, ...]
    shelves: tuple[Shelf, ...]
    frames: Mapping[str, list[list[object]]]
    notes: tuple[str, ...]
    alone: tuple[str, ...]


def of_runs(files: Sequence[Files], budget: int = BUDGET) -> Album:
    """Returns the pictures that at least two of the runs have, as many as fit.

    Args:
        files: of each run, PNG files by key and epoch.
        budget: bytes of files.
    """
    keys = list(dict.fromkeys(key for held in files for key in held))
    common = [key for key in keys if sum(key in held for held in files) >= LEAST]
    all_files = {
        frame_key(run, key): held[key]
        for key in common
        for run, held in enumerate(files)
        if key in held
    }
    kept, notes = fitting(all_files, budget)
    drawn = {
        name: {epoch: pictures.still(path) for epoch, path in sorted(by_epoch.items())}
        for name, by_epoch in kept.items()
    }
    shelves = (
        Shelf(key, tuple(still_of(drawn, frame_key(run, key)) for run in range(len(files))))
        for key in common
    )
    return Album(
        epochs=tuple(pictures.epochs_of(kept)),
        shelves=tuple(shelf for shelf in shelves if any(shelf.stills)),
        frames=pictures.frames(drawn),
        notes=tuple(notes),
        alone=tuple(key for key in keys if key not in common),
    )


def frame_key(run: int, key: str) -> str:
    """Returns the name of a run's picture among the frames."""
    return f"{run}/{key}"


def still_of(drawn: Mapping[str, Mapping[int, Still]], name: str) -> tuple[str, Still] | None:
    """Returns the name of the frames and the last picture among them, whose size is theirs."""
    by_epoch = drawn.get(name)
    return None if not by_epoch else (name, by_epoch[max(by_epoch)])


def fitting(files: Files, budget: int) -> tuple[dict[str, dict[int, Path]], list[str]]:
    """Returns the files that fit the budget, and what is to be said of those that do not.

    Epochs are thinned first, the last one of each run is kept; then all but the last go, and
    then whole pictures, the last ones first.
    """
    epochs = pictures.epochs_of(files)
    kept_epochs = set(pictures.kept_epochs(files, None, budget))
    kept = {
        name: {epoch: path for epoch, path in held.items() if epoch in kept_epochs}
        for name, held in files.items()
    }
    lasts = {name: {max(held): held[max(held)]} for name, held in files.items()}
    notes = []
    if size(kept) > budget:
        kept = lasts
        notes.append("To keep the page small, the pictures are of each run's last epoch alone.")
    elif len(kept_epochs) < len(epochs):
        kept = {name: kept[name] | lasts[name] for name in files}
        notes.append(
            f"To keep the page small, the pictures are of {len(kept_epochs)} of "
            f"{len(epochs)} epochs, spread evenly."
        )
    whole = [name.partition("/")[2] for name in kept]
    left_out = []
    while size(kept) > budget and kept:
        key = whole[-1]
        left_out.append(key)
        kept = {name: held for name, held in kept.items() if name.partition("/")[2] != key}
        whole = [name.partition("/")[2] for name in kept]
    if left_out:
        notes.append(f"Left out for the same reason: {', '.join(reversed(left_out))}.")
    return kept, notes


def size(files: Files) -> int:
    """Returns how many bytes the files have."""
    return sum(path.stat().st_size for held in files.values() for path in held.values())
