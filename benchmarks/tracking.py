"""What tracking costs a run of LeNet: into SQLite, and to a server that answers after 100 ms.

Three per cent drown in the noise of two runs' times, so it is added up in one run: the seconds
that the main thread spends in calls of the tracking, waiting included, from the look for the
store to the run's end; and the CPU seconds of the threads that send, as if all of them were
taken from the training. The share is that sum in the time of the whole run.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import mlrun
from benchmarks.clock import Clock
from benchmarks.harness import Bench, Row, own_store
from benchmarks.networks import settings_of
from benchmarks.slow_network import delayed, mlflow_server
from mlrun.record import opening
from mlrun.record.journal import Journal
from mlrun.record.outbox import Outbox
from mlrun.record.tracking import Tracker

DELAY = 0.1  # seconds
MOST, MOST_WAITING = 3.0, 0.5  # per cent
CALLS = (  # of the main thread
    *((opening, name) for name in ("check_store", "open_run")),
    *((Tracker, name) for name in ("log", "metrics", "params", "tags", "artifact", "table")),
    *((Tracker, name) for name in ("inputs", "settle_in", "show", "close")),
    *((Tracker, name) for name in ("check", "remove", "settle")),
    (Journal, "sync"),  # to the disk, at checkpoints
)


class Account:
    """Adds up what tracking takes while its calls are wrapped.

    main: seconds of the main thread in the calls. sending: CPU seconds of the other threads.
    """

    def __init__(self) -> None:
        self.main = self.sending = 0.0
        self.inside = threading.local()
        self.lock = threading.Lock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Wraps the calls; a call that is no longer there is an error."""
        with ExitStack() as stack:
            for owner, name in CALLS:
                given = getattr(owner, name)
                stack.enter_context(mock.patch.object(owner, name, self.timed(given)))
            for name in ("_consume", "_deliver"):  # all of the outbox's thread, and those beside
                sent = self.counted(getattr(Outbox, name))
                stack.enter_context(mock.patch.object(Outbox, name, sent))
            yield

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `call`, which adds its seconds to `main` unless a wrapped call called it."""

        @functools.wraps(call)
        def timed(*given: Any, **named: Any) -> Any:
            if threading.current_thread() is not threading.main_thread() or self.busy:
                return call(*given, **named)
            self.inside.busy, started = True, time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                self.inside.busy = False
                self.main += time.perf_counter() - started

        return timed

    @property
    def busy(self) -> bool:
        """Whether a wrapped call is running in this thread."""
        return getattr(self.inside, "busy", False)

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `call`, which adds its thread's CPU seconds to `sending`, once where nested."""

        @functools.wraps(call)
        def counted(*given: Any) -> Any:
            if getattr(self.inside, "counting", False):
                return call(*given)
            self.inside.counting, started = True, time.thread_time()
            try:
                return call(*given)
            finally:
                self.inside.counting = False
                with self.lock:
                    self.sending += time.thread_time() - started

        return counted


class Marks(Clock):
    """Notes what the account held when the training began and ended."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account
        self.mains: list[float] = []

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Takes the time and the account."""
        super().epoch(epoch, metrics)
        self.mains.append(self.account.main)


def run(bench: Bench) -> Iterator[Row]:
    """Yields the shares, and how long the training waited."""
    epochs = 1 if bench.quick else 10
    with own_store(bench) as environment:
        folder = Path(environment["MLRUN_HOME"]).parent
        local = environment["MLFLOW_TRACKING_URI"]
        share(bench, local, 50, 1)  # imports, MNIST in the disk's cache
        for every in (50, 1):
            yield from rows("SQLite", [share(bench, local, every, epochs) for _ in repeated(bench)])
        with mlflow_server(folder) as port, delayed(port, DELAY) as slow:
            where = f"a server {1000 * DELAY:.0f} ms away"
            for every in (50, 1):
                found = [
                    share(bench, f"http://127.0.0.1:{slow}", every, epochs) for _ in repeated(bench)
                ]
                yield from rows(where, found)


def repeated(bench: Bench) -> range:
    """Returns the repetitions."""
    return range(bench.repetitions)


def share(bench: Bench, uri: str, every: int, epochs: int) -> dict[str, float]:
    """Returns the shares of one run, in per cent; `every` is its `log_every`."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    account = Account()
    marks = Marks(account)
    settings = settings_of("lenet", bench.data, epochs=epochs, log_every=every)
    with account.watching():
        started = time.perf_counter()
        mlrun.train(settings, progress=marks)
        seconds = time.perf_counter() - started
    training = marks.ends[-1] - marks.ends[0]
    return {
        "every": every,
        "whole": 100 * (account.main + account.sending) / seconds,
        "waiting": 100 * (marks.mains[-1] - marks.mains[0]) / training,
        "main": account.main,
        "sending": account.sending,
        "seconds": seconds,
    }


def rows(where: str, found: list[dict[str, float]]) -> Iterator[Row]:
    """Yields the rows of one store and `log_every`; every step has no bound."""
    first = found[0]
    every = "each step" if first["every"] == 1 else f"every {first['every']:.0f} steps"
    held = first["every"] > 1
    note = (
        f"{first['main']:.2f} s of the main thread and {first['sending']:.2f} s of CPU beside, "
        f"of {first['seconds']:.1f} s"
    )
    what = f"{where}, logging {every}"
    whole = [shares["whole"] for shares in found]
    most = MOST if held else None
    yield Row("tracking", f"{what}: of the run's time", whole, most=most, unit="%", note=note)
    waiting = [shares["waiting"] for shares in found]
    most = MOST_WAITING if held else None
    yield Row("tracking", f"{what}: the training waits", waiting, most=most, unit="%")
