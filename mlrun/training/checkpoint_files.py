"""The files of a training's checkpoints, and which epoch's is the best; loads no torch."""

from __future__ import annotations

import math
import re

LAST, BEFORE = "last.pt", "previous.pt"  # the whole state, and the one before it
NEXT = "next.pt"  # a state that does not count yet
STATES = (LAST, BEFORE)
WEIGHTS = re.compile(r"epoch-([0-9]{1,9})\.pt")


def weights_file(epoch: int) -> str:
    """Returns the name of the file with the weights of an epoch.

    >>> weights_file(3)
    'epoch-3.pt'
    """
    return f"epoch-{epoch}.pt"


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
