"""The pictures of several runs side by side under one slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlrun.pages.stills import BUDGET, Files, Still, epochs_of, frames, kept_epochs, size, still

LEAST = 2  # runs that must have a picture, for it to be shown


@dataclass(frozen=True)
class PictureRow:
    """One picture of several runs, side by side.

    stills: for each run the picture's key among the frames and its last epoch; None where the
        run has no such picture.
    """

    key: str
    stills: tuple[tuple[str, Still] | None, ...]


@dataclass(frozen=True)
class Album:
    """The pictures under the slider.

    epochs: at which the slider stops, ascending.
    rows: in the order in which the runs drew them.
    frames: what `slider.js` reads.
    notes: what was left out to keep the page small, a sentence each.
    alone: keys of pictures that only one run has.
    """

    epochs: tuple[int, ...]
    rows: tuple[PictureRow, ...]
    frames: Mapping[str, list[list[object]]]
    notes: tuple[str, ...]
    alone: tuple[str, ...]


def of_runs(files: Sequence[Files], budget: int = BUDGET) -> Album:
    """Returns the pictures that at least two of the runs have, as many as fit.

    Args:
        files: of each run, PNG files by key and epoch.
        budget: bytes of files.
    """
    keys = list(dict.fromkeys(key for of_run in files for key in of_run))
    common = [key for key in keys if sum(key in of_run for of_run in files) >= LEAST]
    all_files = {
        frame_key(run, key): of_run[key]
        for key in common
        for run, of_run in enumerate(files)
        if key in of_run
    }
    kept, notes = fitting(all_files, budget)
    drawn = {
        name: {epoch: still(path) for epoch, path in sorted(by_epoch.items())}
        for name, by_epoch in kept.items()
    }
    rows = (
        PictureRow(key, tuple(last_still(drawn, frame_key(run, key)) for run in range(len(files))))
        for key in common
    )
    return Album(
        epochs=tuple(epochs_of(kept)),
        rows=tuple(row for row in rows if any(row.stills)),
        frames=frames(drawn),
        notes=tuple(notes),
        alone=tuple(key for key in keys if key not in common),
    )


def frame_key(run: int, key: str) -> str:
    """Returns the name of a run's picture among the frames."""
    return f"{run}/{key}"


def picture_key(name: str) -> str:
    """Returns the picture's key, of which `frame_key` made `name`."""
    return name.partition("/")[2]


def last_still(drawn: Mapping[str, Mapping[int, Still]], name: str) -> tuple[str, Still] | None:
    """Returns `name` and the last picture among its frames; None where there are none."""
    by_epoch = drawn.get(name)
    return None if not by_epoch else (name, by_epoch[max(by_epoch)])


def fitting(files: Files, budget: int) -> tuple[dict[str, dict[int, Path]], list[str]]:
    """Returns the files that fit the budget, and a sentence on each kind that does not.

    Epochs are thinned first, the last one of each run is kept; then all but the last go, and
    then whole pictures, the last ones first.
    """
    epochs = epochs_of(files)
    thinned = set(kept_epochs(files, None, budget))
    kept = {
        name: {epoch: path for epoch, path in by_epoch.items() if epoch in thinned}
        for name, by_epoch in files.items()
    }
    lasts = {name: {max(by_epoch): by_epoch[max(by_epoch)]} for name, by_epoch in files.items()}
    notes = []
    if size(kept) > budget:
        kept = lasts
        notes.append("To keep the page small, the pictures are of each run's last epoch alone.")
    elif len(thinned) < len(epochs):
        kept = {name: kept[name] | lasts[name] for name in files}
        notes.append(
            f"To keep the page small, the pictures are of {len(thinned)} of "
            f"{len(epochs)} epochs, spread evenly."
        )
    left_out: list[str] = []
    while size(kept) > budget:
        left_out.insert(0, picture_key(list(kept)[-1]))
        kept = {
            name: by_epoch for name, by_epoch in kept.items() if picture_key(name) != left_out[0]
        }
    if left_out:
        notes.append(f"Left out for the same reason: {', '.join(left_out)}.")
    return kept, notes
