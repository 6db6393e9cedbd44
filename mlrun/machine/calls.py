"""Calls that may never return, as of a database that hangs: made in a thread, and waited for here.

In the main thread a driver that is written in C may heed no signal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

from mlrun.machine import interrupts
from mlrun.machine.helpers import carry_out, start_threads
from mlrun.machine.interrupts import Interrupted, interruptible, undisturbed

GRACE = 10.0  # seconds that a signal which is put off gives to a call that is under way
LOOKS = 0.05  # seconds between two looks whether a signal came
R = TypeVar("R")


class Unanswered(Interrupted):
    """A signal asked the process to end before a call returned, which may still do its work."""


def answered(
    work: Callable[[], R],
    late: Callable[[R], object] = lambda result: None,
    *,
    limit: float | None = None,
    slow: Callable[[float], object] = lambda seconds: None,
) -> R:
    """Returns what a call does, or raises it.

    A signal ends the wait for it: at once, and within `undisturbed` after 10 s. In other threads,
    which no signal reaches, and where none can be had, it is a call like others.

    Args:
        work: the call.
        late: called with what it returns once nobody waits for it any more.
        limit: seconds to wait for it at most; None for as long as it takes.
        slow: called with the seconds waited, again and again.

    Raises:
        Unanswered: a signal came first.
        TimeoutError: it did not return within the limit, or 10 s after a signal that was raised
            already.
    """
    future: Future[R] = Future()
    run = copy_context().run
    thread = threading.Thread(
        target=run, args=[carry_out, future, work], name="mlrun-call", daemon=True
    )
    if not interrupts.ours():
        return work()

    def hand_over(done: Future[R]) -> None:
        if done.exception() is None:
            with suppress(Exception):
                late(done.result())

    try:
        with undisturbed():
            alone = not start_threads([thread])
        if alone:
            return work()
        wait_for(future, limit, slow)
    except (KeyboardInterrupt, TimeoutError) as error:
        future.add_done_callback(hand_over)  # at once, if it has returned meanwhile
        if isinstance(error, Interrupted):
            raise Unanswered(error.signal, whole=error.whole, reason=error.reason) from None
        raise
    return future.result()


def wait_for(future: Future[Any], limit: float | None, slow: Callable[[float], object]) -> None:
    """Waits for a call; see `answered`."""
    began, asked = time.monotonic(), 0.0
    while not future.done():
        now = time.monotonic()
        asked = (asked or now) if interrupts.count() else 0.0
        if asked and now - asked >= GRACE:
            with interruptible():  # raises it, unless one was raised before
                if interrupts.count():  # else the caller handles it
                    raise TimeoutError(f"no answer within {GRACE:g} s")
        if limit is not None and now - began >= limit:
            raise TimeoutError(f"no answer within {limit:g} s")
        slow(now - began)
        wait([future], LOOKS)
