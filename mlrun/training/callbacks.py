"""Callback: the methods that are called in the course of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState
from mlrun.training.tally import Tally


class Length(NamedTuple):
    """The length of a training.

    steps: optimiser steps in all.
    steps_per_epoch: optimiser steps of one epoch.
    examples: training examples of one epoch.
    """

    steps: int
    steps_per_epoch: int
    examples: int


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch.

    number: from 1; 0 is the untrained model, which is evaluated before the first epoch.
    metrics: every metric of the epoch: `train/loss`, `val/accuracy`, `lr`, …; they are in the
        state's history too.
    evaluations: of the parts that were evaluated after it, `val` among them; empty where
        `evaluate_every` left the epoch out.
    monitored: the value of the monitored metric; None where nothing was evaluated.
    last: whether the training ends with it.
    """

    number: int
    metrics: Mapping[str, float]
    evaluations: Mapping[str, Evaluation] = field(default_factory=dict)
    monitored: float | None = None
    last: bool = False

    @property
    def diverged(self) -> bool:
        """Whether the validation loss is not finite: the training then fails."""
        return "val" in self.evaluations and not math.isfinite(self.evaluations["val"].loss)


class Callback:
    """Methods that are called in the course of a training; a subclass overrides those it needs.

    `fit` calls `on_train_begin`, then `on_epoch_end` for the untrained model, and for each epoch
    `on_step_end` after each step, `on_evaluate` where parts are evaluated between two steps, and
    `on_epoch_end`; at last `on_train_end`. After that the run tests the best weights and calls
    `on_test_end`. Where a signal ends the training between two steps, `on_interrupt` is called.
    `close` is called however the run ends, perhaps more than once.

    Callbacks are called in their order, in the training's thread, which waits for them. They must
    not change the model, its gradients or random states. One may set `state.stopped` to a reason:
    then the training ends after the epoch, which is evaluated, if need be in a second
    `on_epoch_end`. What one raises ends the run as FAILED; what its `close` raises does not.
    """

    patience: float | None = None
    """Seconds that `close` may take for what can be left out; None for as long as it takes."""

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """The training is about to begin."""

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        """An optimiser step is done, the last in `tally`, which holds those of the epoch so far.

        To ask `tally` for its values makes the device wait.
        """

    def on_evaluate(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Parts were evaluated between two steps: `step/val-loss`, …; their time is not counted."""

    def on_epoch_end(self, state: TrainingState, epoch: Epoch) -> None:
        """An epoch is done, and evaluated if it was due; schedule and patience are updated."""

    def on_train_end(self, state: TrainingState) -> None:
        """The last step is done, or training was stopped for the reason in `state.stopped`."""

    def on_interrupt(self) -> None:
        """A signal ends the training, between two steps; `on_train_end` is not called."""

    def on_test_end(self, state: TrainingState, best_epoch: int, tested: Evaluation) -> None:
        """The weights of the best epoch, which the evaluated model has now, were tested.

        Args:
            state: where the training stands.
            best_epoch: by the monitored metric.
            tested: the evaluation of the test part, or of `val` where there is no test part.
        """

    def state_dict(self) -> dict[str, Any]:
        """Returns what the callback needs to go on, as tensors and plain values; none by default.

        Called between two steps, to be saved with the training's state.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores, before the training begins, what `state_dict` returned."""

    def close(self) -> None:
        """The run ends, in whatever state: finish pending work. Called once or more."""
