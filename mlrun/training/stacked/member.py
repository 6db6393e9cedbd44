"""Member: one of the trainings that are done as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlrun.data.batches import Batches
from mlrun.training.callbacks import Callback
from mlrun.training.procedure import Procedure
from mlrun.training.reports import Evaluate
from mlrun.training.state import TrainingState


class Member(NamedTuple):
    """One of the trainings that are done as one: what `fit` takes of it."""

    state: TrainingState
    batches: Batches
    procedure: Procedure
    callbacks: Sequence[Callback] = ()
    evaluate: Evaluate | None = None

    @property
    def goes_on(self) -> bool:
        """Whether there are steps left, or an epoch whose steps are done and which is not over."""
        state = self.state
        left = state.step < self.procedure.steps and not state.stopped
        return left or bool(state.tally.sizes)
