"""The names of the files that a training's checkpoints are kept in."""

from __future__ import annotations

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
