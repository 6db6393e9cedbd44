"""The callback that has visualisers draw: their pictures, tables and values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from numpy.typing import NDArray

from mlrun.errors import MlrunError, contained, one_line
from mlrun.inside.drawing.draw import Drawing, draw
from mlrun.inside.kept import END, Kept
from mlrun.machine.interrupts import interruptible
from mlrun.record.keys import Keys
from mlrun.record.tables import Table
from mlrun.running.context import RunContext
from mlrun.running.picture_log import Job, PictureLog
from mlrun.running.views import make_view
from mlrun.seam.components import When
from mlrun.settings.option_values import ConfiguredComponent
from mlrun.training.callbacks import Callback, Epoch
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState

VALUES = "values behind the pictures"  # as a failure is called


class DrawPictures(Callback):
    """Calls each visualiser at its time, and logs what it draws.

    One that fails costs its pictures alone: the run goes on.

    Attributes:
        log: of the pictures.
        tables: of the end, by name.
    """

    def __init__(self, context: RunContext) -> None:
        self._context, self._visualisers = context, context.plan.visualisers
        self.log = PictureLog(context.tracker, context.folder, context.prepared.device)
        self.tables: dict[str, Table] = {}
        self._notes: list[str] = []
        self._keys = Keys()
        self._kept = {one.prefix: Kept(context.folder / "values") for one in self._visualisers}

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Draws the pictures of an epoch that was evaluated, and of the untrained model."""
        if not epoch.evaluations or epoch.diverged:
            return
        values: dict[str, NDArray[Any]] = {}
        for visualiser in self._due("epoch"):
            failed = partial(self._fail, visualiser, epoch.number)
            for drawing in self._draw(visualiser, state, epoch.number, epoch.evaluations, "val"):
                if isinstance(drawing.content, dict):
                    failed(MlrunError('it drew a table; tables are for when="end"'))
                    continue
                if drawing.content is not None:
                    self.log.add(Job(drawing.key, drawing.content, epoch.number, failed))
                if drawing.values:
                    kept = self._kept[visualiser.prefix]
                    kept.add(epoch.number, drawing.label, drawing.key, drawing.values)
                    values |= {f"{drawing.key}/{n}": array for n, array in drawing.values.items()}
        self._keep(values, epoch.number)

    def on_test_end(self, state: TrainingState, best_epoch: int, tested: Evaluation) -> None:
        """Draws the final figures and tables, from the weights of the best epoch."""
        values: dict[str, NDArray[Any]] = {}
        evaluations = {tested.part: tested}
        for visualiser in self._due("end"):
            failed = partial(self._fail, visualiser, best_epoch)
            for drawing in self._draw(
                visualiser, state, best_epoch, evaluations, tested.part, final=True
            ):
                if isinstance(drawing.content, dict):
                    self.tables[drawing.key] = drawing.content
                    self._context.tracker.table(drawing.key, drawing.content)
                elif drawing.content is not None:
                    self.log.add(Job(drawing.key, drawing.content, drawing.epoch, failed))
                place = "" if drawing.epoch is None else f"/epoch-{drawing.epoch:04}"
                values |= {f"{drawing.key}{place}/{n}": a for n, a in drawing.values.items()}
        self._keep(values, END)

    def state_dict(self) -> dict[str, Any]:
        """Returns which pictures and values there are."""
        return {
            "pictures": self.log.state_dict(),
            "owners": {key: list(owner) for key, owner in self._keys.owners.items()},
            "kept": {prefix: kept.state_dict() for prefix, kept in self._kept.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores them, as far as their files are there."""
        self.log.load_state_dict(state["pictures"])
        self._keys.owners = {key: (one, name) for key, (one, name) in state["owners"].items()}
        for prefix, kept in state["kept"].items():
            if prefix in self._kept:
                self._kept[prefix].load_state_dict(kept)

    def close(self) -> None:
        """Sees to it that every picture is rendered and logged, or left out, with a tag."""
        self.log.close(self.patience)

    def _due(self, when: When) -> list[ConfiguredComponent]:
        """Returns the visualisers that are called then; what was left to render is rendered."""
        with interruptible():
            self.log.catch_up()
        return [one for one in self._visualisers if when in one.component.when]

    def _draw(
        self,
        visualiser: ConfiguredComponent,
        state: TrainingState,
        epoch: int,
        evaluations: Mapping[str, Evaluation],
        part: str,
        *,
        final: bool = False,
    ) -> list[Drawing]:
        """Returns the pictures and tables of one visualiser; none if it fails."""
        before = len(self._notes)
        try:
            view = make_view(
                self._context.prepared, state, epoch, evaluations, part=part, notes=self._notes
            )
            view.final, view.kept = final, self._kept[visualiser.prefix]
            name = visualiser.prefix.replace("/", "-")
            with interruptible(), contained(interrupts=True):
                return draw(
                    visualiser.component.function, name, visualiser.options, view, self._keys
                )
        except Exception as error:
            self._fail(visualiser, epoch, error)
            return []
        finally:
            for note in self._notes[before:]:
                self._context.progress.note(f"{visualiser.component.name}: {note}")

    def _keep(self, values: Mapping[str, NDArray[Any]], epoch: int) -> None:
        """Has the values of an epoch, or of the end, written and logged."""
        self.log.log_order()
        if values:
            self.log.add_values(values, epoch, partial(self._written, epoch))

    def _written(self, epoch: int, error: Exception | None) -> None:
        """Lets go of values that are on disk; called from another thread."""
        if error is not None:
            self._context.failures.reasons.setdefault(VALUES, one_line(error))
            return
        for kept in self._kept.values():
            kept.written(epoch)

    def _fail(self, visualiser: ConfiguredComponent, epoch: int, error: BaseException) -> None:
        """Files a visualiser that failed; its first failure counts.

        The user is told at once while there is training left to break off.
        """
        what = f"visualiser {visualiser.component.name}"
        if what in self._context.failures.reasons:
            return
        self._context.failures.add(what, error, when=f"at epoch {epoch}: ")
        if "epoch" in visualiser.component.when:
            self._context.progress.note(f"{what} failed {self._context.failures.reasons[what]}")
