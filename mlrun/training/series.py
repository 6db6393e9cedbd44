"""The values of one figure by epoch, or by optimiser step: there may be hundreds of thousands."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch


class Series(Sequence[tuple[int, float]]):
    """(step, value) pairs, in the order they came; 16 bytes each, in two growing buffers.

    steps, values: the buffers.

    >>> series = Series()
    >>> series.append(10, 0.5)
    >>> list(series)
    [(10, 0.5)]
    """

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")

    def append(self, step: int, value: float) -> None:
        """Adds the value at an optimiser step."""
        self.steps.append(step)
        self.values.append(value)

    def copy(self) -> Series:
        """Returns a series that grows by itself from here."""
        twin = Series()
        twin.steps, twin.values = self.steps[:], self.values[:]
        return twin

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps, self.values, strict=True)

    @overload
    def __getitem__(self, place: int) -> tuple[int, float]: ...
    @overload
    def __getitem__(self, place: slice) -> list[tuple[int, float]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, float] | list[tuple[int, float]]:
        if isinstance(place, slice):
            return list(zip(self.steps[place], self.values[place], strict=True))
        return self.steps[place], self.values[place]


def packed(series: Mapping[str, Series]) -> dict[str, Any]:
    """Returns copies of all series in two tensors, int64 `steps` and float64 `values`.

    They stand one after the other; `names` and `lengths` tell them apart. To write a tensor for
    each, or the pairs of a thousand epochs as plain numbers, takes several times as long.
    """
    steps, values = array("q"), array("d")
    for one in series.values():
        steps += one.steps
        values += one.values
    return {
        "names": list(series),
        "lengths": [len(one) for one in series.values()],
        "steps": torch.from_numpy(np.array(steps)),
        "values": torch.from_numpy(np.array(values)),
    }


def unpacked(kept: Mapping[str, Any]) -> dict[str, Series]:
    """Returns the series that `packed` put down, whatever device they were read to."""
    parts = [kept[which].cpu().split(kept["lengths"]) for which in ("steps", "values")]
    found = {}
    for name, steps, values in zip(kept["names"], *parts, strict=True):
        found[name] = one = Series()
        one.steps.frombytes(steps.numpy().tobytes())
        one.values.frombytes(values.numpy().tobytes())
    return found
