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
    selection, notes = fitting(all_files, budget)
    pictures = {
        name: {epoch: still(path) for epoch, path in sorted(by_epoch.items())}
        for name, by_epoch in selection.items()
    }
    rows = (
        PictureRow(
            key, tuple(last_still(pictures, frame_key(run, key)) for run in range(len(files)))
        )
        for key in common
    )
    return Album(
        epochs=tuple(epochs_of(selection)),
        rows=tuple(row for row in rows if any(row.stills)),
        frames=frames(pictures),
        notes=tuple(notes),
        alone=tuple(key for key in keys if key not in common),
    )


def frame_key(run: int, key: str) -> str:
    """Returns the name of a run's picture among the frames."""
    return f"{run}/{key}"


def picture_key(name: str) -> str:
    """Returns the picture's key, of which `frame_key` made `name`."""
    return name.partition("/")[2]


def last_still(pictures: Mapping[str, Mapping[int, Still]], name: str) -> tuple[str, Still] | None:
    """Returns `name` and the last picture among its frames; None where there are none."""
    by_epoch = pictures.get(name)
    return None if not by_epoch else (name, by_epoch[max(by_epoch)])


def fitting(files: Files, budget: int) -> tuple[dict[str, dict[int, Path]], list[str]]:
    """Returns the files that fit the budget, and a sentence on each kind that does not.

    Epochs are thinned first, the last one of each run is kept; then all but the last go, and
    then whole pictures, the last ones first.
    """
    epochs = epochs_of(files)
    selected_epochs = set(kept_epochs(files, None, budget))
    selection = {
        name: {epoch: path for epoch, path in by_epoch.items() if epoch in selected_epochs}
        for name, by_epoch in files.items()
    }
    lasts = {name: {max(by_epoch): by_epoch[max(by_epoch)]} for name, by_epoch in files.items()}
    notes = []
    if size(selection) > budget:
        selection = lasts
        notes.append("To keep the page small, the pictures are of each run's last epoch alone.")
    elif len(selected_epochs) < len(epochs):
        selection = {name: selection[name] | lasts[name] for name in files}
        notes.append(
            f"To keep the page small, the pictures are of {len(selected_epochs)} of "
            f"{len(epochs)} epochs, spread evenly."
        )
    omitted_keys: list[str] = []
    while size(selection) > budget:
        omitted_keys.insert(0, picture_key(list(selection)[-1]))
        selection = {
            name: by_epoch
            for name, by_epoch in selection.items()
            if picture_key(name) != omitted_keys[0]
        }
    if omitted_keys:
        notes.append(f"Left out for the same reason: {', '.join(omitted_keys)}.")
    return selection, notes
