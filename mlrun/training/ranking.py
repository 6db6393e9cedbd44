"""Which of several epochs is the best, by a metric; loads no torch."""

from __future__ import annotations

import math


def rank(monitor: str, value: float, epoch: int) -> tuple[bool, float, int]:
    """Returns the key that sorts epochs, the best first: numbers before NaN, then the earlier.

    Args:
        monitor: the metric; of losses the lowest is the best, of all else the highest.
        value: of the metric at that epoch.
        epoch: its number.

    >>> rank("val/loss", 0.5, 3) < rank("val/loss", 0.5, 4) < rank("val/loss", float("nan"), 1)
    True
    """
    return math.isnan(value), value if monitor.endswith("loss") else -value, epoch
