"""Threads that help, as many of them as can be had; without any, the work is done here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from mlrun.machine.interrupts import undisturbed

LOOKS = 0.02  # seconds, at most, between two looks whether a thread has ended
P = ParamSpec("P")
R = TypeVar("R")
Work = tuple[Future[Any], Callable[[], Any]]


class Helpers(Executor):
    """An executor like `ThreadPoolExecutor`, which a limit of threads (`ulimit -u`) does not fail.

    Args:
        most: threads at once, which start now; where none can be had, `submit` does the work.
        name: of the threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self._works: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = start_threads([Thread(target=self._help, name=name) for _ in range(most)])

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Has a work done, after those before it; without a thread, at once."""
        future: Future[R] = Future()
        work = future, partial(fn, *args, **kwargs)
        if self._threads:
            self._works.put(work)
        else:
            carry_out(*work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Lets the threads end when what was submitted is done; to be called once, after that."""
        if cancel_futures:
            with suppress(Empty):
                while work := self._works.get_nowait():
                    work[0].cancel()
        for _ in self._threads:
            self._works.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _help(self) -> None:
        while work := self._works.get():
            carry_out(*work)


def carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    """Gives a future what a work returns, or raises."""
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)


def start_threads(threads: Sequence[Thread]) -> list[Thread]:
    """Starts threads until no more can be had; returns those that were started."""
    started = []
    with suppress(RuntimeError):
        for thread in threads:
            thread.start()
            started.append(thread)
    return started


def has_ended(thread: Thread, seconds: float) -> bool:
    """Waits until a thread has ended, at most so many seconds; whether it has.

    In place of `Thread.join`, which a signal may break off only where nobody asks for the thread
    later: Python 3.11 takes it for ended then.
    """
    deadline, pause = time.monotonic() + seconds, 0.001
    while True:
        with undisturbed():
            if not thread.is_alive():
                return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, pause))
        pause = min(2 * pause, LOOKS)
