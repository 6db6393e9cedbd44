"""Requests side by side, in threads that let the process end while a request hangs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread

from mlrun.machine.helpers import start_threads

MOST = 8  # requests at once


class Abreast:
    """Works that threads begin with at once, each done by one of them.

    Args:
        works: what to call; none may raise.
    """

    def __init__(self, works: Sequence[Callable[[], None]]) -> None:
        self._left = deque(works)
        beside = [Thread(target=self._work, name="mlrun-outbox-beside", daemon=True) for _ in works]
        self._threads = start_threads(beside[:MOST])

    def finish(self) -> None:
        """Helps, and waits until all are done."""
        self._work()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with suppress(IndexError):  # none is left
            while True:
                work = self._left.popleft()
                work()
