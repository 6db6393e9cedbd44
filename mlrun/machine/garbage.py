"""Python's garbage collection, kept away from objects that stay."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 100_000  # objects made and not given back, between two collections


def collect_seldom() -> None:
    """Has a process that will import torch and MLflow collect garbage seldom.

    Importing them makes a million objects, none of them garbage: to search among them all takes
    a second of the start of `train`.
    """
    gc.set_threshold(SELDOM)


def collect_little_at_exit() -> None:
    """Has a process that is about to end collect as little garbage as it may.

    Python collects twice as it ends, which with torch and MLflow takes as long as a short training;
    what is frozen is left out of both. Where triton is loaded (torchvision imports it, and every
    servable model needs it), what the second collection does not find is printed, in up to 40 lines
    of 'leaked …': there only the first is left out.
    """
    if "triton" in sys.modules:
        gc.disable()
    else:
        gc.freeze()


@contextmanager
def old_objects_frozen() -> Iterator[None]:
    """Has Python look for garbage only among what is made inside.

    Torch and MLflow are a million objects that stay: to look at all of them takes 0.2 s, and
    training waits. Who has frozen objects already knows what is looked at.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
