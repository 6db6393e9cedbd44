"""The pictures and tables of one run: visualisers called at their time, failures filed."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from mlrun.errors import MlrunError, one_line, redact
from mlrun.inside.drawing import Pixels, draw
from mlrun.inside.sandbox import detached_copy
from mlrun.inside.view import View
from mlrun.plan import Chosen, Plan
from mlrun.preparation import Prepared
from mlrun.record.pictures import figure_event, grid_events
from mlrun.record.tables import Table
from mlrun.record.tracking import Tracker
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState


@dataclass
class Gallery:
    """Draws what the run's visualisers make, and logs it.

    say: takes one line for the user.
    failures: by visualiser, the first thing that went wrong.
    keys: of the pictures that stand under a slider, in the order they came.
    """

    plan: Plan
    prepared: Prepared
    tracker: Tracker
    say: Callable[[str], None]
    failures: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def draw_epoch(self, state: TrainingState, known: Mapping[str, Evaluation]) -> None:
        """Draws and logs the pictures of the epoch that `state` has reached.

        `known` are the evaluations that were made in it already, by part; `val` among them.
        """
        for chosen in self.due("epoch"):
            for key, image in self.draw(chosen, state, state.epoch, known, "val").items():
                if isinstance(image, dict):
                    error = MlrunError('it drew a table; tables are for when="end"')
                    self.fail(chosen, state.epoch, error)
                    continue
                if key not in self.keys:
                    self.keys.append(key)
                for event in grid_events(
                    self.tracker.run_id, key, image, state.epoch, self.tracker.started
                ):
                    self.tracker.log(event)

    def draw_end(self, state: TrainingState, best: int, tested: Evaluation) -> None:
        """Draws and logs the final figures and tables, from the weights of epoch `best`."""
        for chosen in self.due("end"):
            known = {tested.part: tested}
            for name, drawn in self.draw(chosen, state, best, known, tested.part).items():
                if isinstance(drawn, dict):
                    self.tracker.table(name, drawn)
                else:
                    self.tracker.log(figure_event(name, drawn))

    def due(self, when: Literal["epoch", "end"]) -> list[Chosen]:
        """Returns the visualisers that are drawn then."""
        return [chosen for chosen in self.plan.visualisers if chosen.component.when == when]

    def draw(
        self,
        chosen: Chosen,
        state: TrainingState,
        epoch: int,
        known: Mapping[str, Evaluation],
        part: str,
    ) -> dict[str, Pixels | Table]:
        """Returns the pictures and tables of one visualiser by key; none if it fails."""
        told = len(self.notes)
        name = chosen.prefix.replace("/", "-")
        try:
            view = self.view(state, epoch, known, part)
            return draw(chosen.component.function, name, chosen.options, view)
        except (Exception, SystemExit) as error:
            self.fail(chosen, epoch, error)
            return {}
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
            with torch.no_grad():
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

    def fail(self, chosen: Chosen, epoch: int, error: BaseException) -> None:
        """Files a visualiser that failed; the first failure of each counts.

        The user is told at once while there is training left to break off.
        """
        name = chosen.component.name
        what = f"visualiser {name}"
        if what in self.failures:
            return
        self.failures[what] = f"at epoch {epoch}: {one_line(error)}"
        if chosen.component.when == "epoch":
            self.say(f"{what} failed {self.failures[what]}")
        trace = redact("".join(traceback.format_exception(error)))
        self.tracker.artifact(f"failures/{name}.txt", trace)
        self.tracker.tags({f"mlrun.failed.{name}": self.failures[what]})
