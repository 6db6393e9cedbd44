"""Whoever is told that a store is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from waiting import until


@contextmanager
def once_told(caplog: pytest.LogCaptureFixture, action: Callable[[], object]) -> Iterator[None]:
    """Does something in another thread when the user was told what is waited for, as he must be."""

    def is_told() -> bool:
        return any("waiting for it" in record.getMessage() for record in caplog.records)

    def act() -> None:
        until(is_told)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert is_told()
