"""The pictures of a run: rendered beside the training, logged, and kept for its report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from mlrun.errors import MlrunError, contained
from mlrun.inside.drawing.renderer import Renderer
from mlrun.inside.drawing.rendering import Rendered, render
from mlrun.inside.kept import file_name, write_values
from mlrun.inside.sandbox import untouched
from mlrun.machine.interrupts import interruptible
from mlrun.record.pictures import (
    ORDER_TAG,
    PNG_END,
    SMALL_END,
    figure_event,
    grid_events,
    grid_stem,
)
from mlrun.record.reopening import LEFT_OUT
from mlrun.record.tracking import Tracker

Failed = Callable[[BaseException], None]


@dataclass(frozen=True)
class Job:
    """A picture that is to be rendered and logged.

    content: as `rendering.packed` packed it.
    epoch: of the slider; None for a figure of the end.
    failed: is told why the picture is lost.
    """

    key: str
    content: bytes
    epoch: int | None
    failed: Failed


class PictureLog:
    """Renders and logs pictures, and the values behind them.

    Figures are rendered in a process beside the training; what it cannot render, or has not yet
    when the run ends, is rendered here, by `catch_up`.

    Args:
        tracker: of the run.
        folder: of the run, where its pictures and values lie while it lasts.
        device: whose random states rendering must not touch.

    Attributes:
        pictures: PNG files of the pictures under a slider, by key and epoch; in the order drawn
            once the log is closed.
        figures: PNG files of the end, by name; likewise.
        added: how many pictures, and values of an epoch, were added so far.
    """

    def __init__(self, tracker: Tracker, folder: Path, device: torch.device) -> None:
        self.pictures: dict[str, dict[int, Path]] = {}
        self.figures: dict[str, Path] = {}
        self._tracker, self._folder, self._device = tracker, folder, device
        self._keys: list[str] = []  # of the pictures under a slider, in the order drawn
        self._figures: list[str] = []  # likewise, of the end
        self._epochs: dict[str, dict[int, None]] = {}  # by key, of pictures under a slider
        self._logged_keys = 0
        self._unrendered: list[tuple[int, Job]] = []
        self.added = 0
        self._open: set[int] = set()  # numbers of what was added and is not done
        self._lock = threading.Lock()
        self._renderer = Renderer()

    def add(self, job: Job) -> None:
        """Has a picture rendered beside the training, and logged when that is done."""
        keys = self._figures if job.epoch is None else self._keys
        if job.epoch is not None:
            self._epochs.setdefault(job.key, {})[job.epoch] = None
        if job.key not in keys:
            keys.append(job.key)
        self._renderer.submit(job.content, partial(self._take, self._begin(), job))

    def add_values(
        self,
        values: Mapping[str, NDArray[Any]],
        epoch: int,
        done: Callable[[Exception | None], None],
    ) -> None:
        """Has the values of an epoch, or of the end, written and logged beside the training.

        Args:
            values: by `KEY/NAME`.
            epoch: `kept.END` for the end.
            done: called from another thread: with None when the file is there, else with why not.
        """
        self._renderer.after(partial(self._write_values, self._begin(), values, epoch, done))

    def has_done(self, count: int) -> bool:
        """Whether the first `count` that were added are on disk and logged, or lost."""
        with self._lock:
            return all(number >= count for number in self._open)

    def state_dict(self) -> dict[str, Any]:
        """Returns which pictures were added under which keys, as plain values."""
        return {"keys": list(self._keys), "epochs": {k: list(v) for k, v in self._epochs.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned, as far as the pictures are on disk."""
        self._keys, self._logged_keys = list(state["keys"]), len(state["keys"])
        for key, epochs in state["epochs"].items():
            for epoch in epochs:
                path = self.path_of(key, epoch)
                if path.is_file():
                    self._epochs.setdefault(key, {})[epoch] = None
                    self.pictures.setdefault(key, {})[epoch] = path

    def path_of(self, key: str, epoch: int) -> Path:
        """Returns the path of a picture under a slider."""
        stem = grid_stem(self._tracker.run_id, key, epoch, self._tracker.started)
        return self._folder / f"{stem}{PNG_END}"

    def log_order(self) -> None:
        """Logs the order in which pictures are drawn, if there are more keys than before."""
        if len(self._keys) > self._logged_keys:
            self._logged_keys = len(self._keys)
            self._tracker.tags({ORDER_TAG: ",".join(self._keys)})

    def catch_up(self, deadline: float = float("inf")) -> None:
        """Renders and logs the pictures that the process beside did not render, until then."""
        while self._unrendered and time.monotonic() < deadline:
            number, job = self._unrendered[0]
            try:
                with contained(), untouched(self._device):
                    rendered = render(job.content)
                self._log(job, rendered)
            except Exception as error:
                job.failed(error)
            self._end(number)
            del self._unrendered[0]  # now, so that an interrupt does not lose it

    def close(self, patience: float | None = None) -> None:
        """Sees to it that every picture is rendered and logged; a second time, does nothing.

        Args:
            patience: seconds after which those that are left are left out, as they are where a
                signal breaks it off; None for as long as it takes, and then nothing is left out.
        """
        deadline = float("inf") if patience is None else time.monotonic() + patience
        try:
            with interruptible():
                while time.monotonic() < deadline and self._renderer.take_back():
                    self.catch_up(deadline)
                self._renderer.close()
                self.catch_up(deadline)
        finally:
            if patience is not None:
                self._leave_out()
        epochs = {key: self.pictures[key] for key in self._keys if key in self.pictures}
        self.pictures = {key: dict(sorted(paths.items())) for key, paths in epochs.items()}
        self.figures = {key: self.figures[key] for key in self._figures if key in self.figures}

    def _leave_out(self) -> None:
        """Gives up the pictures that are not rendered."""
        while self._renderer.take_back():
            pass
        self._renderer.close()
        left, self._unrendered = self._unrendered, []
        what = "1 picture was" if len(left) == 1 else f"{len(left)} pictures were"
        for _, job in left:  # they are not done: a state behind them does not count
            job.failed(MlrunError(f"{what} {LEFT_OUT}"))

    def _begin(self) -> int:
        """Counts what is added; returns its number, from 0."""
        with self._lock:
            number, self.added = self.added, self.added + 1
            self._open.add(number)
        return number

    def _end(self, number: int) -> None:
        with self._lock:
            self._open.discard(number)

    def _take(self, number: int, job: Job, rendered: Rendered | None) -> None:
        """Logs a picture that was rendered, or puts it by; called from another thread."""
        if rendered is None:
            self._unrendered.append((number, job))
            return
        try:
            self._log(job, rendered)
        except Exception as error:  # the disk is full, say
            job.failed(error)
        self._end(number)

    def _log(self, job: Job, rendered: Rendered) -> None:
        """Writes a picture's files into the run's folder, and logs them."""
        if job.epoch is None:
            path = self._write(f"figures/{job.key}.png", rendered.png)
            self.figures[job.key] = path
            self._tracker.log(figure_event(job.key, path))
            return
        stem = grid_stem(self._tracker.run_id, job.key, job.epoch, self._tracker.started)
        png = self._write(f"{stem}{PNG_END}", rendered.png)
        small = self._write(f"{stem}{SMALL_END}", rendered.small)
        self.pictures.setdefault(job.key, {})[job.epoch] = png
        for event in grid_events(stem, png, small):
            self._tracker.log(event)

    def _write(self, name: str, content: bytes) -> Path:
        """Writes a file into the run's folder, or replaces it, and returns its path."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")  # another thread writes another picture
        temporary.write_bytes(content)
        return temporary.replace(path)

    def _write_values(
        self,
        number: int,
        values: Mapping[str, NDArray[Any]],
        epoch: int,
        done: Callable[[Exception | None], None],
    ) -> None:
        name = f"values/{file_name(epoch)}"
        try:
            write_values(self._folder / name, values)
        except Exception as error:  # the disk is full, say
            done(error)
        else:
            self._tracker.artifact(name, self._folder / name)
            done(None)
        self._end(number)
