"""Waits for what another thread or process does, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONGEST = 60.0  # seconds


def until(condition: Callable[[], T], *, every: float = 0.02) -> T:
    """Calls `condition` every so many seconds until what it returns is true; returns that."""
    deadline = time.monotonic() + LONGEST
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {LONGEST:g} s: {found!r}"
        time.sleep(every)
    return found
