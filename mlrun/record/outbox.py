"""The one consumer of a run's events: a queue, and a thread that sends what is on it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from mlrun.errors import one_line
from mlrun.record.events import Event, Kind

GATHER = 0.5  # seconds: how long events wait for others to share a request
GRACE = 30.0  # seconds: how long a closing run goes on trying a store that fails
LONGEST_PAUSE = 30.0  # seconds between two tries


class Outbox:
    """Takes events at once and sends them soon, in order within a kind, many in one request.

    Args:
        send: by kind, what sends a list of events of that kind; sending some again must
            change nothing.
        at_once: by kind, the most events that `send` may be given.
        refused: whether an error means that the store will never take these events.

    Attributes:
        lost: events that were given up, each with the reason.
    """

    def __init__(
        self,
        send: Mapping[Kind, Callable[[list[Event]], None]],
        at_once: Mapping[Kind, int],
        refused: Callable[[Exception], bool],
    ) -> None:
        self.lost: list[tuple[Event, str]] = []
        self._send, self._at_once, self._refused = send, at_once, refused
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._hurry = threading.Event()
        self._deadline: float | None = None
        self._thread = threading.Thread(target=self._consume, name="mlrun-outbox", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Takes one event; never waits."""
        self._queue.put(event)

    def flush(self) -> None:
        """Waits until every event so far is sent, or is lost; from here on, time is short."""
        self._deadline = time.monotonic() + GRACE
        self._hurry.set()
        self._queue.join()
        self._hurry.clear()

    def close(self) -> None:
        """Sends what is left and stops the thread."""
        self._deadline = time.monotonic() + GRACE
        self._hurry.set()
        self._queue.put(None)
        self._thread.join()

    def attempt(self, call: Callable[[], None], events: list[Event]) -> None:
        """Calls until it works, the store refuses, or a closing run's time is up.

        While a run lasts, there is no end to trying: what it logs is kept in memory.
        """
        pause = 0.5
        while True:
            try:
                call()
                return
            except Exception as error:
                late = self._deadline is not None and time.monotonic() > self._deadline
                if self._refused(error) or late:
                    self.lost += [(event, one_line(error)) for event in events]
                    return
            if not self._hurry.wait(pause):
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                time.sleep(0.5)

    def _consume(self) -> None:
        open_ = True
        while open_:
            taken = [self._queue.get()]
            if taken[0] is not None:
                self._hurry.wait(GATHER)
            with suppress(queue.Empty):
                while True:
                    taken.append(self._queue.get_nowait())
            open_ = None not in taken
            events = [event for event in taken if event is not None]
            for kind, send in self._send.items():
                some = [event for event in events if event.kind == kind]
                size = self._at_once[kind]
                for part in (some[i : i + size] for i in range(0, len(some), size)):
                    self._attempt_part(send, part)
            for _ in taken:
                self._queue.task_done()

    def _attempt_part(self, send: Callable[[list[Event]], None], part: list[Event]) -> None:
        """Sends some events; where they are refused together, each by itself."""
        before = len(self.lost)
        self.attempt(lambda: send(part), part)
        if len(self.lost) > before and len(part) > 1:
            del self.lost[before:]
            for event in part:
                self.attempt(partial(send, [event]), [event])
