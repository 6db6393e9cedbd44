"""The axis of the accuracies in the comparison: its range and ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

STEPS = (1, 2, 5)  # times a power of ten, of which the ticks are
TICKS = 6  # at most


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, and the values that are written below it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Returns where a value stands: percent of the axis, from its beginning.

        >>> Scale(0.5, 1.0, ()).at(0.75)
        50.0
        """
        return 100 * (value - self.low) / (self.high - self.low)


def scale_over(low: float, high: float, *, most: float) -> Scale:
    """Returns the axis from the tick below `low` to the one above `high`, `most` at the most.

    >>> scale_over(0.912, 0.987, most=1.0).ticks
    (0.9, 0.92, 0.94, 0.96, 0.98, 1.0)
    """
    width = max(high - low, 1e-3)
    power = 10.0 ** (math.floor(math.log10(width)) - 1)
    for step in (factor * power * ten for ten in (1, 10, 100) for factor in STEPS):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(min(last, math.ceil(most / step - 1e-9)), first + 1)
        if last - first < TICKS:
            break
    ticks = tuple(round(place * step, 10) for place in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)
