"""Progress: who is told how a run is getting on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlrun.training.state import TrainingState
    from mlrun.training.tally import Tally


class Progress(Protocol):
    """Who is told how a run is getting on; every call is cheap and may be ignored."""

    def note(self, text: str) -> None:
        """Takes one line for the user."""

    def warn(self, text: str) -> None:
        """Takes one line that the user must not miss."""

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Training starts: so many steps in all, and so many steps and examples an epoch."""

    def step(self, state: TrainingState, tally: Tally) -> None:
        """A step is done, the last in `tally`; to ask for its figures makes the device wait."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch is done, and perhaps evaluated; 0 is before training."""

    def finish(self) -> None:
        """Training has ended, well or not."""
