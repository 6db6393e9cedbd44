"""A number of each of several models, as a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Numbers:
    """A number of each of K models, to multiply stacks by; made anew only where it changes."""

    def __init__(self) -> None:
        self._values: Sequence[float] = ()
        self._made: dict[tuple[torch.dtype, torch.device, int], Tensor] = {}

    def like(self, values: Sequence[float], stacked: Tensor) -> Tensor:
        """Returns K values as (K, 1, …), of the dtype, device and dimensions of a stack (K, …)."""
        if values != self._values:
            self._values = list(values)
            self._made.clear()
        key = (stacked.dtype, stacked.device, stacked.ndim)
        if key not in self._made:
            made = torch.tensor(values, dtype=stacked.dtype).view(-1, *[1] * (stacked.ndim - 1))
            self._made[key] = made.to(stacked.device, non_blocking=True)  # no wait for the device
        return self._made[key]
