"""The pictures of a run: rendered beside the training, logged, and kept for its report."""

from __future__ import annotations

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
from mlrun.record.folders import write_whole
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
from mlrun.running.picture_index import Pending, PictureIndex

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
        index: of the pictures; its files are in the order drawn once the log is closed.
        pending: the pictures, and the values of epochs, that are not on disk and logged, or lost.
    """

    def __init__(self, tracker: Tracker, folder: Path, device: torch.device) -> None:
        self.index, self.pending = PictureIndex(), Pending()
        self._tracker, self._folder, self._device = tracker, folder, device
        self._logged_keys = 0
        self._unrendered: list[tuple[int, Job]] = []
        self._renderer = Renderer()

    def add(self, job: Job) -> None:
        """Has a picture rendered beside the training, and logged when that is done."""
        self.index.announce(job.key, job.epoch)
        self._renderer.submit(job.content, partial(self._take, self.pending.begin(), job))

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
        self._renderer.after(partial(self._write_values, self.pending.begin(), values, epoch, done))

    def state_dict(self) -> dict[str, Any]:
        """Returns which pictures were added under which keys, as plain values."""
        return self.index.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned, as far as the pictures are on disk."""
        self.index.load_state_dict(state, self.path_of)
        self._logged_keys = len(self.index.keys)

    def path_of(self, key: str, epoch: int) -> Path:
        """Returns the path of a picture under a slider."""
        stem = grid_stem(self._tracker.run_id, key, epoch, self._tracker.started)
        return self._folder / f"{stem}{PNG_END}"

    def log_order(self) -> None:
        """Logs the order in which pictures are drawn, if there are more keys than before."""
        if len(self.index.keys) > self._logged_keys:
            self._logged_keys = len(self.index.keys)
            self._tracker.tags({ORDER_TAG: ",".join(self.index.keys)})

    def catch_up(self, deadline: float = float("inf")) -> None:
        """Renders and logs the pictures that the process beside did not render, until then."""
        while self._unrendered and time.monotonic() < deadline:
            number, job = self._unrendered[0]
            try:
                with contained(interrupts=True), untouched(self._device):
                    rendered = render(job.content)
                self._log(job, rendered)
            except Exception as error:
                job.failed(error)
            self.pending.end(number)
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
        self.index.sort()

    def _leave_out(self) -> None:
        """Gives up the pictures that are not rendered."""
        while self._renderer.take_back():
            pass
        self._renderer.close()
        left, self._unrendered = self._unrendered, []
        what = "1 picture was" if len(left) == 1 else f"{len(left)} pictures were"
        for _, job in left:  # they are not done: a state behind them does not count
            job.failed(MlrunError(f"{what} {LEFT_OUT}"))

    def _take(self, number: int, job: Job, rendered: Rendered | None) -> None:
        """Logs a picture that was rendered, or puts it by; called from another thread."""
        if rendered is None:
            self._unrendered.append((number, job))
            return
        try:
            self._log(job, rendered)
        except Exception as error:  # the disk is full, say
            job.failed(error)
        self.pending.end(number)

    def _log(self, job: Job, rendered: Rendered) -> None:
        """Writes a picture's files into the run's folder, and logs them."""
        if job.epoch is None:
            path = self._write(f"figures/{job.key}.png", rendered.png)
            self.index.add(job.key, None, path)
            self._tracker.log(figure_event(job.key, path))
            return
        stem = grid_stem(self._tracker.run_id, job.key, job.epoch, self._tracker.started)
        png = self._write(f"{stem}{PNG_END}", rendered.png)
        small = self._write(f"{stem}{SMALL_END}", rendered.small)
        self.index.add(job.key, job.epoch, png)
        for event in grid_events(stem, png, small):
            self._tracker.log(event)

    def _write(self, name: str, content: bytes) -> Path:
        """Writes a file into the run's folder, or replaces it, and returns its path."""
        return write_whole(self._folder / name, content)

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
        self.pending.end(number)
