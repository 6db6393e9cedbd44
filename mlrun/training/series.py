"""The values of one figure by optimiser step, of which there may be hundreds of thousands."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor


class Series(Sequence[tuple[int, float]]):
    """(step, value) pairs, in the order they came; 16 bytes each, in two growing buffers.

    >>> series = Series()
    >>> series.append(10, 0.5)
    >>> list(series)
    [(10, 0.5)]
    """

    def __init__(self) -> None:
        self._steps = array("q")
        self._values = array("d")

    def append(self, step: int, value: float) -> None:
        """Adds the value at an optimiser step."""
        self._steps.append(step)
        self._values.append(value)

    def copy(self) -> Series:
        """Returns a series that grows by itself from here."""
        twin = Series()
        twin._steps, twin._values = self._steps[:], self._values[:]
        return twin

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self._steps, self._values, strict=True)

    @overload
    def __getitem__(self, place: int) -> tuple[int, float]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, float]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, float] | list[tuple[int, float]]:
        if isinstance(place, slice):
            return list(zip(self._steps[place], self._values[place], strict=True))
        return self._steps[place], self._values[place]

    def state_dict(self) -> dict[str, Tensor]:
        """Returns copies of the steps, int64 (n,), and the values, float64 (n,)."""
        return {
            "steps": torch.from_numpy(np.array(self._steps)),
            "values": torch.from_numpy(np.array(self._values)),
        }

    @classmethod
    def of_state(cls, state: dict[str, Tensor]) -> Series:
        """Returns the series that `state_dict` put down, whatever device it was read to."""
        series = cls()
        series._steps.frombytes(state["steps"].cpu().numpy().tobytes())
        series._values.frombytes(state["values"].cpu().numpy().tobytes())
        return series
