"""Python's search for garbage: kept away from objects that stay."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 100_000  # objects made and not given back, between two searches


def search_seldom() -> None:
    """Has a process that will import torch and MLflow search for garbage seldom.

    Importing them makes a million objects, none of them garbage: to search among them all takes
    a second of the start of `train`.
    """
    gc.set_threshold(SELDOM)


def search_no_more() -> None:
    """Has a process that is about to end leave out what it can of Python's last searches.

    There are two, and with torch and MLflow they take as long as a short training. Frozen objects
    are in neither. Triton, which torchvision imports and every servable model needs, prints 40
    lines of 'leaked' for its objects that the last search does not find: there only the first is
    left out.
    """
    if "triton" in sys.modules:
        gc.disable()
    else:
        gc.freeze()


@contextmanager
def old_objects_left_alone() -> Iterator[None]:
    """Has Python search for garbage only among what is made inside.

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
