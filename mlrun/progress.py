"""Progress: who is told how a run is getting on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from mlrun.training.state import TrainingState


class Progress(Protocol):
    """Who is told how a run is getting on; every call is cheap and may be ignored."""

    def note(self, text: str) -> None:
        """Takes one line for the user."""

    def warn(self, text: str) -> None:
        """Takes one line that the user must not miss."""

    def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
        """Training starts: so many steps in all, and so many steps and examples an epoch."""

    def step(self, state: TrainingState, loss: Tensor, hits: Tensor) -> None:
        """A step is done; loss and hits are still on the device."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch is done, and perhaps evaluated; 0 is before training."""

    def finish(self) -> None:
        """Training has ended, well or not."""
