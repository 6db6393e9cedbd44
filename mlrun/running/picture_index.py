"""Which pictures a run has, in the order in which they were drawn, and which are still pending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class PictureIndex:
    """The pictures of a run, by the keys under which they are logged.

    Attributes:
        pictures: PNG files of the pictures under a slider, by key and epoch.
        figures: PNG files of the end, by name.
        keys: of the pictures under a slider, in the order drawn.
    """

    def __init__(self) -> None:
        self.pictures: dict[str, dict[int, Path]] = {}
        self.figures: dict[str, Path] = {}
        self.keys: list[str] = []
        self._figures: list[str] = []  # names, in the order drawn
        self._epochs: dict[str, dict[int, None]] = {}  # by key, of pictures under a slider

    def announce(self, key: str, epoch: int | None) -> None:
        """Takes a picture that was drawn, and has no file yet; of the end without an epoch."""
        keys = self._figures if epoch is None else self.keys
        if epoch is not None:
            self._epochs.setdefault(key, {})[epoch] = None
        if key not in keys:
            keys.append(key)

    def add(self, key: str, epoch: int | None, file: Path) -> None:
        """Takes the file of a picture."""
        if epoch is None:
            self.figures[key] = file
        else:
            self.pictures.setdefault(key, {})[epoch] = file

    def sort(self) -> None:
        """Puts the files in the order in which they were drawn."""
        epochs = {key: self.pictures[key] for key in self.keys if key in self.pictures}
        self.pictures = {key: dict(sorted(files.items())) for key, files in epochs.items()}
        self.figures = {key: self.figures[key] for key in self._figures if key in self.figures}

    def state_dict(self) -> dict[str, Any]:
        """Returns which pictures under a slider were drawn, as plain values."""
        return {"keys": list(self.keys), "epochs": {k: list(v) for k, v in self._epochs.items()}}

    def load_state_dict(
        self, state: Mapping[str, Any], path_of: Callable[[str, int], Path]
    ) -> None:
        """Restores what `state_dict` returned, as far as there are files at `path_of`."""
        self.keys = list(state["keys"])
        for key, epochs in state["epochs"].items():
            for epoch in epochs:
                path = path_of(key, epoch)
                if path.is_file():
                    self._epochs.setdefault(key, {})[epoch] = None
                    self.add(key, epoch, path)


class Pending:
    """Counts what was begun, and what of it is not done; from several threads.

    added: how many were begun so far.
    """

    def __init__(self) -> None:
        self.added = 0
        self._open: set[int] = set()
        self._lock = threading.Lock()

    def begin(self) -> int:
        """Counts one more; returns its number, from 0."""
        with self._lock:
            number, self.added = self.added, self.added + 1
            self._open.add(number)
        return number

    def end(self, number: int) -> None:
        """Takes the one of that number as done."""
        with self._lock:
            self._open.discard(number)

    def has_done(self, count: int) -> bool:
        """Whether the first `count` that were begun are done."""
        with self._lock:
            return all(number >= count for number in self._open)
