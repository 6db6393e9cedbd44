"""The callbacks that save what a run can go on from: the best weights, and the whole state."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlrun.running.context import RunContext
from mlrun.settings.intervals import interval_of
from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.checkpoint_files import LAST
from mlrun.training.checkpoints import Checkpoints
from mlrun.training.state import TrainingState
from mlrun.training.state_files import SavedStates
from mlrun.training.tally import Tally

if TYPE_CHECKING:
    from mlrun.running.visualising import DrawPictures

LOG_EVERY = 180.0  # seconds between two times that checkpoints go to the store during the training
SHARE = 100  # times as long as a state took to save, none is saved of itself: 1 % of the time
SPEED = 2e8  # bytes a second, for a guess at how long the first one takes
COPIES = 3  # of the weights, in a state: their own, and as a rule at most two of the optimiser


class SaveWeights(Callback):
    """Saves the weights of the best epochs."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Saves, unless the model is untrained and about to be trained, or has diverged."""
        if epoch.monitored is not None and not epoch.diverged and (epoch.number or epoch.last):
            self._checkpoints.save(state, epoch.monitored)

    def state_dict(self) -> dict[str, Any]:
        """Returns the ranking of the checkpoints."""
        return {"ranking": list(self._checkpoints.ranking)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the ranking of the checkpoints, as far as they are there."""
        there = self._checkpoints.on_disk
        self._checkpoints.ranking = [(v, epoch) for v, epoch in state["ranking"] if epoch in there]


class SaveState(Callback):
    """Saves the state of the training, and logs it with the weights of the best epochs.

    It is saved at the ends of epochs, and within them as `checkpoint_every` says. It counts once
    the pictures that were drawn before it are on disk: who goes on from it draws the later ones
    again, and those alone. Before that, the state before it counts.

    It is logged at the end, and while training lasts every few minutes, unless the store fails.

    Args:
        context: of the run.
        checkpoints: of the run.
        pictures: the callback that draws, if there is one; it is called before this one.
        others: callbacks whose states are saved, too; likewise.
    """

    def __init__(
        self,
        context: RunContext,
        checkpoints: Checkpoints,
        pictures: DrawPictures | None,
        others: Sequence[Callback],
    ) -> None:
        self._tracker, self._checkpoints = context.tracker, checkpoints
        self._pictures, self._others = pictures, others
        self._states = SavedStates(context.folder)
        self._last = context.folder / LAST
        settings = context.plan.settings
        self._interval = interval_of(settings.checkpoint_every)
        self._asked_for = not settings.is_default("checkpoint_every")
        self._logged: dict[str, int] = dict.fromkeys(context.tracker.earlier_checkpoints, 0)
        self._log_due = time.monotonic() + LOG_EVERY
        self._saved_at, self._cost, self._saved_step = time.monotonic(), 0.0, 0
        self._waits_for: int | None = None  # pictures, until the state that was written counts
        self._named = deque([checkpoints.on_disk], 3)  # best epochs of the states on disk
        self._state: TrainingState | None = None

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Takes the state that is saved."""
        self._state, self._saved_step = state, state.step
        weights = sum(tensor.nbytes for tensor in state.model.state_dict().values())
        self._cost = COPIES * weights / SPEED

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        """Saves the state if it is time."""
        passed = time.monotonic() - self._saved_at
        if state.step - self._saved_step >= self._interval.steps or (
            passed >= self._interval.seconds and (self._asked_for or passed >= SHARE * self._cost)
        ):
            self._save(state)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Saves, unless the model is untrained and about to be trained, or has diverged."""
        if epoch.diverged or not (epoch.number or epoch.last):
            return
        if epoch.last or time.monotonic() - self._saved_at >= SHARE * self._cost:
            self._save(state, always=epoch.last)
        self._checkpoints.remove_others(set().union(*self._named))
        if time.monotonic() >= self._log_due and not self._tracker.fails:
            self._log()
            self._log_due = time.monotonic() + LOG_EVERY

    def on_train_end(self, state: TrainingState) -> None:
        """Lets go of the state: from here on the model may have other weights."""
        self._state = None

    def on_interrupt(self) -> None:
        """Saves the state of the training, which is broken off between two steps."""
        if self._state is not None and self._state.step:
            self._save(self._state, always=True)

    def close(self) -> None:
        """Logs the files that are kept, and which epoch is best."""
        self._confirm()
        self._log()

    def _save(self, state: TrainingState, *, always: bool = False) -> None:
        """Writes the state; but not over one that does not count yet, unless `always`."""
        self._confirm()
        if self._waits_for is not None and not always:
            return
        started = time.monotonic()
        states = {type(one).__name__: one.state_dict() for one in self._others}
        self._tracker.journal.sync()
        if self._waits_for is not None:  # what is written over
            self._named.pop()
        self._states.write({**state.state_dict(), "callbacks": states})
        self._waits_for = 0 if self._pictures is None else self._pictures.log.pending.added
        self._named.append(self._checkpoints.epochs)
        self._confirm()
        self._saved_at, self._saved_step = time.monotonic(), state.step
        self._cost = self._saved_at - started

    def _confirm(self) -> None:
        """Lets the state that was written count, if the pictures before it are on disk."""
        if self._waits_for is None:
            return
        if self._pictures is None or self._pictures.log.pending.has_done(self._waits_for):
            self._states.confirm()
            self._waits_for = None

    def _log(self) -> None:
        """Logs the files that the store does not have, and removes those that are not kept."""
        paths = [path for path in [*self._checkpoints.files(), self._last] if path.exists()]
        files = {f"checkpoints/{path.name}": path for path in paths}
        for name in self._logged.keys() - files:
            self._tracker.remove(name)
        written = {name: path.stat().st_mtime_ns for name, path in files.items()}
        for name, path in files.items():
            if self._logged.get(name) != written[name]:
                self._tracker.artifact(name, path)
        self._logged = written
        if self._checkpoints.ranking:
            self._tracker.tags({"mlrun.best_epoch": str(self._checkpoints.best_epoch)})
        self._tracker.journal.sync()
