"""Data sets that several runs of one process share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlrun.data.images import ImageData

LOADED: ContextVar[dict[str, ImageData] | None] = ContextVar("loaded", default=None)


@contextmanager
def shared_data() -> Iterator[None]:
    """Has the runs inside the block load each data set once, whatever else their settings are.

        with mlrun.shared_data():
            for lr in (1e-4, 1e-3, 1e-2):
                mlrun.train({"dataset": "mnist", "lr": lr})

    A data set is the same if its component, its options and `data_dir` are. It is what its files
    held when the first run asked, and stays in memory until the block ends.
    """
    token = LOADED.set({})
    try:
        yield
    finally:
        LOADED.reset(token)
