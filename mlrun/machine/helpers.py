"""Threads that help, as many of them as can be had; without any, the work is done here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

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
