"""The bounds of what changes images; importing it does not load torch."""

from __future__ import annotations

import math


def check_bounds(
    name: str, value: float, *, most: float = math.inf, below: float = math.inf
) -> None:
    """Raises ValueError unless `value` is from 0 to `most`, and below `below`."""
    if 0 <= value <= most and value < below:
        return
    if most < math.inf:
        expected = f"from 0 to {most}"
    else:
        expected = f"from 0 to below {below}" if below < math.inf else "of 0 or more"
    raise ValueError(f"{name} {value}: expected a number {expected}")
