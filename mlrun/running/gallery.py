"""The pictures and tables of one run: visualisers called at their time, failures filed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from mlrun.errors import MlrunError, one_line, redact
from mlrun.inside.kept import END, Kept, file_name, write_values
from mlrun.inside.sandbox import detached_copy, untouched
from mlrun.inside.view import View
from mlrun.preparing.prepared import Prepared
from mlrun.record.failures import failure_tag
from mlrun.record.pictures import (
    ORDER_TAG,
    PNG_END,
    SMALL_END,
    figure_event,
    grid_events,
    grid_stem,
)
from mlrun.record.tables import Table
from mlrun.record.tracking import Tracker
from mlrun.seam.components import When
from mlrun.settings.plan import Chosen, Plan
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState

if TYPE_CHECKING:  # they take matplotlib, which a run without pictures does not need
    from mlrun.inside.drawing.draw import Drawing
    from mlrun.inside.drawing.renderer import Renderer
    from mlrun.inside.drawing.rendering import Rendered


@dataclass(frozen=True)
class Job:
    """A picture that is to be rendered and logged.

    content: as `rendering.packed` packed it.
    at: the epoch of the weights that it was drawn from.
    epoch: of the slider; None for a figure of the end.
    """

    chosen: Chosen
    key: str
    content: bytes
    at: int
    epoch: int | None


@dataclass
class Gallery:
    """Draws what the run's visualisers make, and logs it.

    Figures are rendered in a process beside the training; what it cannot render is rendered
    here, when visualisers are called next.

    folder: of the run, where its pictures and values lie while it lasts.
    say: takes one line for the user.
    failures: by visualiser, the first thing that went wrong.
    album: PNG files of the pictures under a slider, by key and epoch.
    figures, tables: of the end, by name.
    keys: of the pictures under a slider, in the order in which they are drawn.
    """

    plan: Plan
    prepared: Prepared
    tracker: Tracker
    folder: Path
    say: Callable[[str], None]
    failures: dict[str, str] = field(default_factory=dict)
    album: dict[str, dict[int, Path]] = field(default_factory=dict)
    figures: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    unrendered: list[Job] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.renderer: Renderer | None = None
        if self.plan.visualisers:
            from mlrun.inside.drawing.renderer import Renderer

            self.renderer = Renderer()

    def draw_epoch(self, state: TrainingState, known: Mapping[str, Evaluation]) -> None:
        """Draws and logs the pictures of the epoch that `state` has reached.

        `known` are the evaluations that were made in it already, by part; `val` among them.
        """
        values: dict[str, NDArray[Any]] = {}
        known_keys = len(self.keys)
        for chosen in self.due("epoch"):
            for drawing in self.draw(chosen, state, state.epoch, known, "val", final=False):
                if isinstance(drawing.content, dict):
                    error = MlrunError('it drew a table; tables are for when="end"')
                    self.fail(chosen, state.epoch, error)
                    continue
                if drawing.content is not None:
                    job = Job(chosen, drawing.key, drawing.content, state.epoch, state.epoch)
                    self.submit(job)
                if drawing.values:
                    kept = self.kept.setdefault(chosen.prefix, Kept(self.folder / "values"))
                    kept.add(state.epoch, drawing.label, drawing.key, drawing.values)
                    values |= {f"{drawing.key}/{n}": array for n, array in drawing.values.items()}
        self.keep(values, state.epoch)
        self.tell_keys(known_keys)

    def draw_end(self, state: TrainingState, best: int, tested: Evaluation) -> None:
        """Draws and logs the final figures and tables, from the weights of epoch `best`."""
        values: dict[str, NDArray[Any]] = {}
        known_keys = len(self.keys)
        for chosen in self.due("end"):
            known = {tested.part: tested}
            for drawing in self.draw(chosen, state, best, known, tested.part, final=True):
                epoch, content = drawing.epoch, drawing.content
                if isinstance(content, dict):
                    self.tables[drawing.key] = content
                    self.tracker.table(drawing.key, content)
                elif content is not None:
                    self.submit(Job(chosen, drawing.key, content, best, epoch))
                path = drawing.key if epoch is None else f"{drawing.key}/epoch-{epoch:04}"
                values |= {f"{path}/{name}": array for name, array in drawing.values.items()}
        self.keep(values, END)
        self.tell_keys(known_keys)

    def finish(self) -> None:
        """Waits until every picture is rendered and logged; a second time, does nothing."""
        if self.renderer is not None:
            self.renderer.close()
            self.catch_up()

    def due(self, when: When) -> list[Chosen]:
        """Returns the visualisers that are called then; what was left to render is rendered."""
        self.catch_up()
        return [chosen for chosen in self.plan.visualisers if when in chosen.component.when]

    def draw(
        self,
        chosen: Chosen,
        state: TrainingState,
        epoch: int,
        known: Mapping[str, Evaluation],
        part: str,
        *,
        final: bool,
    ) -> list[Drawing]:
        """Returns the pictures and tables of one visualiser; none if it fails."""
        from mlrun.inside.drawing.draw import draw

        told = len(self.notes)
        name = chosen.prefix.replace("/", "-")
        try:
            view = self.view(state, epoch, known, part)
            view.final, view.kept = final, self.kept.get(chosen.prefix, {})
            return draw(chosen.component.function, name, chosen.options, view)
        except (Exception, SystemExit) as error:
            self.fail(chosen, epoch, error)
            return []
        finally:
            for note in self.notes[told:]:
                self.say(f"{chosen.component.name}: {note}")

    def view(
        self, state: TrainingState, epoch: int, known: Mapping[str, Evaluation], part: str
    ) -> View:
        """Returns what one visualiser will see, with a copy of the model of its own.

        `known` are evaluations that were made already; `part` is what `predictions` are of.
        """
        prepared = self.prepared

        def inputs(images: torch.Tensor) -> torch.Tensor:
            standardised: torch.Tensor = prepared.normalisation(images.to(prepared.device))
            return standardised

        return View(
            model=detached_copy(state.evaluated),
            epoch=epoch,
            shape=prepared.data.shape,
            classes=prepared.data.classes,
            history={name: tuple(pairs) for name, pairs in state.history.items()},
            steps={name: series.copy() for name, series in state.steps.items()},
            notes=self.notes,
            _selections=prepared.selections,
            _normalise=inputs,
            _evaluate=prepared.evaluate,
            _device=prepared.device,
            _default_part=part,
            _evaluations=dict(known),
            _probe=prepared.probe,
        )

    def tell_keys(self, known: int) -> None:
        """Logs the order in which pictures are drawn, if there are more keys than were `known`."""
        if len(self.keys) > known:
            self.tracker.tags({ORDER_TAG: ",".join(self.keys)})

    def submit(self, job: Job) -> None:
        """Has a picture rendered beside the training, and logged when that is done."""
        assert self.renderer is not None  # there are visualisers
        if job.epoch is not None and job.key not in self.keys:
            self.keys.append(job.key)
        self.renderer.submit(job.content, partial(self.take, job))

    def take(self, job: Job, rendered: Rendered | None) -> None:
        """Logs a picture that was rendered, or puts it by; called from another thread."""
        if rendered is None:
            self.unrendered.append(job)
            return
        try:
            self.log(job, rendered)
        except Exception as error:  # the disk is full, say
            self.fail(job.chosen, job.at, error)

    def catch_up(self) -> None:
        """Renders and logs the pictures that the process beside could not render."""
        while self.unrendered:
            from mlrun.inside.drawing.rendering import render

            job = self.unrendered.pop(0)
            try:
                with untouched(self.prepared.device):
                    rendered = render(job.content)
                self.log(job, rendered)
            except (Exception, SystemExit) as error:
                self.fail(job.chosen, job.at, error)

    def log(self, job: Job, rendered: Rendered) -> None:
        """Writes a picture's files into the run's folder, and logs them."""
        if job.epoch is None:
            path = self.write(f"figures/{job.key}.png", rendered.png)
            self.figures[job.key] = path
            self.tracker.log(figure_event(job.key, path))
            return
        stem = grid_stem(self.tracker.run_id, job.key, job.epoch, self.tracker.started)
        png = self.write(f"{stem}{PNG_END}", rendered.png)
        small = self.write(f"{stem}{SMALL_END}", rendered.small)
        self.album.setdefault(job.key, {})[job.epoch] = png
        for event in grid_events(stem, png, small):
            self.tracker.log(event)

    def write(self, name: str, content: bytes) -> Path:
        """Writes a file into the run's folder and returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def keep(self, values: Mapping[str, NDArray[Any]], epoch: int) -> None:
        """Has the values of an epoch, or of the end, written and logged beside the training."""
        if not values or self.renderer is None:
            return
        self.renderer.after(partial(self.write_down, values, epoch))

    def write_down(self, values: Mapping[str, NDArray[Any]], epoch: int) -> None:
        """Writes and logs the values of an epoch; called from another thread."""
        name = f"values/{file_name(epoch)}"
        try:
            write_values(self.folder / name, values)
        except Exception as error:  # the disk is full, say
            self.failures.setdefault("values behind the pictures", one_line(error))
            return
        self.tracker.artifact(name, self.folder / name)
        for kept in self.kept.values():
            kept.written(epoch)

    def fail(self, chosen: Chosen, epoch: int, error: BaseException) -> None:
        """Files a visualiser that failed; the first failure of each counts.

        The user is told at once while there is training left to break off.
        """
        name = chosen.component.name
        what = f"visualiser {name}"
        if what in self.failures:
            return
        self.failures[what] = f"at epoch {epoch}: {one_line(error)}"
        if "epoch" in chosen.component.when:
            self.say(f"{what} failed {self.failures[what]}")
        trace = redact("".join(traceback.format_exception(error)))
        self.tracker.artifact(f"failures/{name}.txt", trace)
        self.tracker.tags({failure_tag(what): self.failures[what]})
