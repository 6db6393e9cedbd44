"""The running averages of several models' weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mlrun.training.average import Average
from mlrun.training.stacked.ensemble import named_tensors
from mlrun.training.stacked.numbers import Numbers
from mlrun.training.stacked.rows import Rows


class StackedAverages:
    """The averages of K models; what they hold are rows of stacks meanwhile.

    Args:
        averages: of the models.
        tensors: by name, the models' stacked parameters and buffers.
        rows: what stacks.
    """

    def __init__(
        self, averages: Sequence[Average], tensors: Mapping[str, Tensor], rows: Rows
    ) -> None:
        held = [dict(named_tensors(average.model)) for average in averages]
        self._pairs = [
            (rows.stack([each[name] for each in held]), stacked)
            for name, stacked in tensors.items()
        ]
        self._decays, self._rest = [average.decay for average in averages], Numbers()

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Updates the averages after optimiser step `step`, from 1, as `Average.update` does."""
        rest = [1 - min(decay, (1 + step) / (10 + step)) for decay in self._decays]
        for average, now in self._pairs:
            if average.is_floating_point():
                average.lerp_(now, self._rest.like(rest, average))
            else:
                average.copy_(now)
