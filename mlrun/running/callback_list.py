"""The callbacks of a run: those that are a few lines each, and the list of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mlrun.errors import MlrunError
from mlrun.preparing.features import Features
from mlrun.record.tracking import Tracker
from mlrun.running.context import RunContext
from mlrun.running.data_sets import Digests
from mlrun.running.progress import Progress
from mlrun.running.saving import SaveState, SaveWeights
from mlrun.running.step_log import LogSteps
from mlrun.training.callbacks import Callback, Epoch, Length
from mlrun.training.checkpoints import Checkpoints
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally

if TYPE_CHECKING:
    from mlrun.running.visualising import DrawPictures


class WatchFiles(Callback):
    """Ends the run where a file that images are mapped from is not as it was written."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        """Raises MlrunError with what another thread, or an attempt to read, has found."""
        for file in self._digests.files:
            if file.fault:
                raise MlrunError(file.fault)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Looks whether a file was changed; raises MlrunError if it was."""
        self._digests.check()

    def on_test_end(self, state: TrainingState, best_epoch: int, tested: Evaluation) -> None:
        """Looks once more."""
        self._digests.check()


class LogMetrics(Callback):
    """Logs the metrics of each epoch, and of evaluations between two steps."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def on_evaluate(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Logs `step/val-loss`, … at the optimiser step."""
        self._tracker.metrics(metrics, state.step)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Logs the metrics of the epoch; a run whose record fails ends here."""
        self._tracker.metrics(epoch.metrics, epoch.number)
        self._tracker.check()


class ShowProgress(Callback):
    """Hands on to a `Progress` how the training goes on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Says how long the training is."""
        self._progress.start(length.steps, length.steps_per_epoch, length.examples)

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        """Hands on the step."""
        self._progress.step(state, tally)

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """Hands on the metrics of the epoch."""
        self._progress.epoch(epoch.number, epoch.metrics)


class LogFrozenFeatures(Callback):
    """Logs which features stand in the images' place, and the time that they saved."""

    def __init__(self, features: Features, tracker: Tracker, report: Callable[[str], None]) -> None:
        self._features, self._tracker, self._report = features, tracker, report

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Logs where the model is cut."""
        self._tracker.tags({"mlrun.frozen_features": self._features.tag})

    def on_train_end(self, state: TrainingState) -> None:
        """Logs the seconds saved."""
        self._tracker.metrics({"frozen_seconds_saved": self._features.saved}, state.epoch)
        self._report(self._features.summary)


def make_callbacks(
    context: RunContext, checkpoints: Checkpoints, pictures: DrawPictures | None
) -> list[Callback]:
    """Returns the callbacks of a run, in the order in which they are called."""
    settings, tracker = context.plan.settings, context.tracker
    callbacks: list[Callback] = [WatchFiles(context.digests)] if context.digests.files else []
    if settings.log_every:
        callbacks.append(LogSteps(tracker, settings.log_every))
    callbacks += [LogMetrics(tracker), SaveWeights(checkpoints)]
    if pictures is not None:
        callbacks.append(pictures)
    # behind all that log, so that what it saves was logged
    callbacks.append(SaveState(context, checkpoints, pictures, list(callbacks)))
    callbacks.append(ShowProgress(context.progress))
    if settings.system_metrics:
        from mlrun.running.system_metrics import LogSystemMetrics

        callbacks.append(LogSystemMetrics(tracker))  # the last, to see the others' work too
    return callbacks


def make_pictures(context: RunContext) -> DrawPictures | None:
    """Returns the callback that draws, which takes matplotlib; None without visualisers."""
    if not context.plan.visualisers:
        return None
    from mlrun.running.visualising import DrawPictures

    return DrawPictures(context)
